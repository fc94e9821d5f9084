from __future__ import annotations

from collections.abc import Sequence

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from gateway_svc.domain.errors import (
    KeyDisabledError,
    KeyExpiredError,
    KeyPendingError,
    KeyRejectedUpstreamError,
    KeyServiceUnavailableError,
    NotGrantedError,
    SealedKeyUnusableError,
)
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


@pytest.mark.parametrize("reason", BY_REASON)
def test_every_translation_makes_an_error_with_a_text(reason: str) -> None:
    assert BY_REASON[reason]().public_message
