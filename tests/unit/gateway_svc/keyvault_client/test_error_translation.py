from __future__ import annotations

from collections.abc import Sequence

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from gateway_svc.domain.errors import (
    AppProofRequiredError,
    BudgetSpentError,
    KeyDisabledError,
    KeyExpiredError,
    KeyPendingError,
    KeyRejectedUpstreamError,
    KeyServiceUnavailableError,
    LimitStoreUnavailableError,
    ModelPriceUnknownError,
    NotGrantedError,
    OwnerNotPresentError,
    RateLimitedError,
    SealedKeyUnusableError,
    SuspendedError,
    TokenBoundRequiredError,
)
from gateway_svc.domain.reached_limit import ReachedLimit
from gateway_svc.keyvault_client.error_translation import BY_REASON, to_service_error
from keyvault_svc.domain import errors as custody_errors
from svc_runtime.error_details import STATUS_DETAILS_KEY, status_of
from svc_runtime.service_error import (
    CallerNotAllowedError,
    CallerUnverifiedError,
    InvalidFieldError,
    ServiceError,
)
from svc_runtime.vault.errors import VaultUnavailableError

_RATE = {"scope": "grant", "kind": "requests_per_minute", "limit": "60", "remaining": "0"}
_BUDGET = {
    "scope": "owner",
    "kind": "usd_per_day",
    "limit": "5000000",
    "remaining": "120",
    "end_time": "2026-04-01T00:00:00+00:00",
}


def _as_sent(error: ServiceError, code: grpc.StatusCode) -> AioRpcError:
    status = status_of(error, code, domain="keyvault.keyturn", request_id="request-0001")
    return _rpc_error(code, [(STATUS_DETAILS_KEY, status.SerializeToString())])


def _rpc_error(
    code: grpc.StatusCode, trailing: Sequence[tuple[str, str | bytes]] = ()
) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata(*trailing), details="canary")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (custody_errors.NotGrantedError(), NotGrantedError),
        (custody_errors.KeyPendingError(), KeyPendingError),
        (custody_errors.KeyDisabledError(), KeyDisabledError),
        (custody_errors.KeyExpiredError(), KeyExpiredError),
        (custody_errors.KeyRejectedError(), KeyRejectedUpstreamError),
        (custody_errors.KeyRecordUnreadableError(), SealedKeyUnusableError),
        (custody_errors.AppProofRequiredError(), AppProofRequiredError),
        (custody_errors.OwnerNotPresentError(), OwnerNotPresentError),
        (custody_errors.SuspendedError(), SuspendedError),
        (custody_errors.TokenBoundRequiredError(), TokenBoundRequiredError),
        (custody_errors.ModelPriceUnknownError(), ModelPriceUnknownError),
        (custody_errors.LimitStoreUnavailableError(), LimitStoreUnavailableError),
        (VaultUnavailableError(), VaultUnavailableError),
    ],
)
def test_a_decision_of_the_key_service_stays_what_it_is(
    sent: ServiceError, expected: type[ServiceError]
) -> None:
    error = to_service_error(_as_sent(sent, grpc.StatusCode.PERMISSION_DENIED))

    assert type(error) is expected


def test_a_broken_rule_keeps_its_field_and_its_rule() -> None:
    sent = InvalidFieldError("model", "must have at most 256 ASCII characters")

    error = to_service_error(_as_sent(sent, grpc.StatusCode.INVALID_ARGUMENT))

    assert isinstance(error, InvalidFieldError)
    assert (error.field, error.rule) == (sent.field, sent.rule)


@pytest.mark.parametrize(
    "error",
    [
        _rpc_error(grpc.StatusCode.UNAVAILABLE),
        _rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED),
        _rpc_error(grpc.StatusCode.INTERNAL),
        _rpc_error(grpc.StatusCode.PERMISSION_DENIED),
        _rpc_error(grpc.StatusCode.INVALID_ARGUMENT),
        _rpc_error(grpc.StatusCode.UNAVAILABLE, [(STATUS_DETAILS_KEY, b"\xff")]),
        _as_sent(CallerNotAllowedError(), grpc.StatusCode.PERMISSION_DENIED),
        _as_sent(CallerUnverifiedError(), grpc.StatusCode.UNAUTHENTICATED),
        _as_sent(custody_errors.KeyNotFoundError(), grpc.StatusCode.NOT_FOUND),
    ],
    ids=range(9),
)
def test_whatever_is_no_decision_is_an_outage(error: AioRpcError) -> None:
    assert type(to_service_error(error)) is KeyServiceUnavailableError


def test_a_full_rate_limit_keeps_its_figures_and_the_time_to_wait() -> None:
    sent = custody_errors.RateLimitedError(_RATE, 12.345)

    error = to_service_error(_as_sent(sent, grpc.StatusCode.RESOURCE_EXHAUSTED))

    assert isinstance(error, RateLimitedError)
    assert error.limit == ReachedLimit("grant", "requests_per_minute", 60, 0)
    assert (error.details, error.retry_after_seconds) == (_RATE, 12.345)


def test_a_spent_budget_keeps_its_figures_and_its_end() -> None:
    sent = custody_errors.BudgetSpentError(_BUDGET)

    error = to_service_error(_as_sent(sent, grpc.StatusCode.RESOURCE_EXHAUSTED))

    assert isinstance(error, BudgetSpentError)
    assert (error.details, error.retry_after_seconds) == (_BUDGET, None)


def test_text_from_the_wire_reaches_no_app() -> None:
    sent = custody_errors.BudgetSpentError(_BUDGET | {"scope": "canary", "hint": "canary"})

    error = to_service_error(_as_sent(sent, grpc.StatusCode.RESOURCE_EXHAUSTED))

    assert isinstance(error, BudgetSpentError)
    assert (error.details, error.public_message) == ({}, BudgetSpentError.public_message)


def test_a_time_to_wait_that_cannot_be_meant_is_left_out() -> None:
    sent = custody_errors.RateLimitedError(_RATE, -1.0)

    error = to_service_error(_as_sent(sent, grpc.StatusCode.RESOURCE_EXHAUSTED))

    assert type(error) is RateLimitedError
    assert error.retry_after_seconds is None


@pytest.mark.parametrize("reason", BY_REASON)
def test_every_translation_makes_an_error_with_a_text(reason: str) -> None:
    assert BY_REASON[reason]().public_message
