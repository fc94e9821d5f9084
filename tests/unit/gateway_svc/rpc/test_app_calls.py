"""What comes with a gRPC call beside its message, and goes back, over real connections."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import grpc
import pytest
from google.rpc import (  # type: ignore[import-untyped]  # stubs without a py.typed marker
    error_details_pb2,
    status_pb2,
)
from structlog.testing import capture_logs

from gateway_svc.domain.errors import (
    AppProofRequiredError,
    BudgetSpentError,
    LimitStoreUnavailableError,
    OwnerNotPresentError,
    RateLimitedError,
    TokenBoundRequiredError,
)
from gateway_svc.domain.key_name import KeyChoice
from gateway_svc.domain.lease_ports import Lease, Remaining
from gateway_svc.domain.reached_limit import ReachedLimit
from gateway_svc.domain.roles import AppIds
from gateway_svc.rpc.access_policy import APP_PORT
from gateway_svc.rpc.app_calls import AppCalls
from gateway_svc.rpc.error_status import ERROR_DOMAIN, ERROR_STATUS
from gateway_svc.rpc.services import SERVICES, add_services
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub
from svc_runtime.authentication import MTLSAuthenticator
from svc_runtime.error_details import STATUS_DETAILS_KEY, metadata_of, reason_of
from svc_runtime.grpc_server import Listener, build_server
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from tests.unit.gateway_svc.relay_stage import BODY, LEASE, Stage
from tests.unit.svc_runtime.interceptors.loopback_tls import channel_to, server_credentials

if TYPE_CHECKING:
    from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceAsyncStub

KEY: Final = ("x-keyturn-key", "users/alice/keys/openai")
TOKEN: Final = "aa.app-canary.cc"
OWNER: Final = "aa.owner-canary.cc"
BUDGET: Final = ReachedLimit("grant", "tokens_per_day", 500, 3)


@asynccontextmanager
async def _serving(
    lease: Lease | ServiceError = LEASE,
) -> AsyncIterator[tuple[Stage, PassThroughServiceAsyncStub]]:
    stage = Stage(lease=lease)
    app_ids = AppIds("spiffe://example.org/app/")
    listener = Listener(
        "127.0.0.1:0", server_credentials(), MTLSAuthenticator(app_ids.roles_of), APP_PORT
    )
    server, port = build_server(
        listener=listener,
        status_table=ERROR_STATUS,
        error_domain=ERROR_DOMAIN,
        max_deadline_seconds=60.0,
        max_message_bytes=1024 * 1024,
        register=lambda server: add_services(server, stage.relay, AppCalls(KeyChoice({}))),
        reflection_of=SERVICES,
    )
    await server.start()
    try:
        async with channel_to(port) as channel:
            yield stage, PassThroughServiceStub(channel)
    finally:
        await server.stop(None)


def _request() -> pass_pb.CallRequest:
    request = pass_pb.UpstreamRequest(method="POST", path="chat/completions", body=BODY)
    return pass_pb.CallRequest(request=request)


async def _refusal(lease: ServiceError) -> grpc.aio.AioRpcError:
    async with _serving(lease) as (_, stub):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Call(_request(), metadata=(KEY,), timeout=20)
    return caught.value


async def test_both_tokens_go_to_the_key_service_and_nowhere_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = (("authorization", f"Bearer {TOKEN}"), ("x-keyturn-owner-token", OWNER))
    with capture_logs() as logs:
        async with _serving() as (stage, stub):
            call = stub.Call(_request(), metadata=(KEY, *tokens), timeout=20)
            response = await call
            echoed = f"{await call.initial_metadata()}{await call.trailing_metadata()}{response}"

    [lease] = stage.leaser.requests
    assert lease.app_token == SecretBytes(TOKEN.encode())
    assert lease.owner_token == SecretBytes(OWNER.encode())
    [(upstream, _)] = stage.upstream.sent
    assert "canary" not in f"{upstream}{echoed}{logs}{caplog.text}"


async def test_no_token_need_come() -> None:
    async with _serving() as (stage, stub):
        await stub.Call(_request(), metadata=(KEY,), timeout=20)

    [lease] = stage.leaser.requests
    assert (lease.app_token, lease.owner_token) == (None, None)


@pytest.mark.parametrize(
    "tokens", [[OWNER, OWNER], ["canary"], [""]], ids=["twice", "no token", "empty"]
)
async def test_an_owners_token_that_cannot_be_one_is_refused_before_a_lease(
    tokens: list[str],
) -> None:
    metadata = (KEY, *(("x-keyturn-owner-token", token) for token in tokens))
    async with _serving() as (stage, stub):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Call(_request(), metadata=metadata, timeout=20)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "x-keyturn-owner-token" in str(caught.value.details())
    assert "canary" not in str(caught.value.details())
    assert stage.leaser.requests == []


async def test_the_receipt_says_what_is_left_at_once_and_at_the_end() -> None:
    left = ("x-keyturn-remaining-tokens", "1200")
    async with _serving(replace(LEASE, remaining=Remaining(tokens=1200))) as (_, stub):
        call = stub.Call(_request(), metadata=(KEY,), timeout=20)
        await call
        metadata = [await call.initial_metadata(), await call.trailing_metadata()]

    assert [left in list(entries) for entries in metadata] == [True, True]


async def test_a_full_rate_limit_says_which_one_and_when_to_retry() -> None:
    limit = ReachedLimit("grant", "requests_per_minute", 60, 0)

    error = await _refusal(RateLimitedError(limit, 12.5))

    assert (error.code(), reason_of(error)) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
    )
    assert limit.text in str(error.details())
    assert metadata_of(error).items() >= limit.details.items()
    assert _retry_of(error) == [12_500]


async def test_a_spent_budget_says_which_one_and_offers_no_retry() -> None:
    error = await _refusal(BudgetSpentError(BUDGET))

    assert (error.code(), reason_of(error)) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "BUDGET_SPENT",
    )
    assert metadata_of(error).items() >= BUDGET.details.items()
    assert _retry_of(error) == []


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (OwnerNotPresentError(), grpc.StatusCode.PERMISSION_DENIED),
        (AppProofRequiredError(), grpc.StatusCode.UNAUTHENTICATED),
        (TokenBoundRequiredError(), grpc.StatusCode.INVALID_ARGUMENT),
        (LimitStoreUnavailableError(), grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_a_refusal_keeps_its_reason(refusal: ServiceError, code: grpc.StatusCode) -> None:
    error = await _refusal(refusal)

    assert (error.code(), reason_of(error)) == (code, refusal.reason)


def _retry_of(error: grpc.aio.AioRpcError) -> list[int]:
    """Return the milliseconds of each `RetryInfo` that *error* has."""
    raw = dict(error.trailing_metadata())[STATUS_DETAILS_KEY]
    infos = []
    for packed in status_pb2.Status.FromString(raw).details:
        info = error_details_pb2.RetryInfo()
        if packed.Unpack(info):
            infos.append(info.retry_delay.ToMilliseconds())
    return infos
