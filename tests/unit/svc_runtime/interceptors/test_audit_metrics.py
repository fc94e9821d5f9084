from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from svc_runtime.clock import SystemClock
from svc_runtime.interceptors.audit import AuditInterceptor
from svc_runtime.interceptors.error_status import ErrorStatusInterceptor
from svc_runtime.service_error import CallerNotAllowedError
from svc_runtime.telemetry.metrics_of_calls import REASON, RPC_METHOD
from tests.fakes.figures import Figures, measured_figures
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Context,
    call_kind,
    method_of,
    recording,
    serving,
)

AUDIT = AuditInterceptor(SystemClock())
ERRORS = ErrorStatusInterceptor({}, "test.keyturn")
CALLS = "rpc_server_call_duration_seconds_count"
REFUSALS = "keyturn_refusals_total"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[Figures]:
    monkeypatch.setattr(RPC_METHOD, "values", frozenset(map(method_of, KINDS)))
    monkeypatch.setattr(REASON, "values", frozenset({CallerNotAllowedError.reason}))
    with recording(), measured_figures() as figures:
        yield figures


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_is_measured_by_method_and_status(kind: str, figures: Figures) -> None:
    async with serving(AUDIT, ERRORS) as channel:
        await call_kind(channel, kind)

    labels = (("rpc_method", method_of(kind)), ("rpc_response_status_code", "OK"))
    assert figures.of(CALLS) == {labels: 1}
    assert figures.of(REFUSALS) == {}


async def test_a_refusal_is_counted_by_its_reason(figures: Figures) -> None:
    async def refuse(_context: Context) -> None:
        raise CallerNotAllowedError

    async with serving(AUDIT, ERRORS, act=refuse) as channel:
        reply = await call_kind(channel, "UnaryUnary")

    assert reply.code is grpc.StatusCode.PERMISSION_DENIED
    assert figures.of(REFUSALS) == {(("reason", "CALLER_NOT_ALLOWED"),): 1}


async def test_a_method_that_a_caller_made_up_counts_as_other(figures: Figures) -> None:
    async with serving(AUDIT, ERRORS) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        call = channel.unary_unary("/alice.Keys/Steal")
        with pytest.raises(grpc.aio.AioRpcError):
            await call(b"", timeout=10)

    labels = (("rpc_method", "other"), ("rpc_response_status_code", "UNIMPLEMENTED"))
    assert figures.of(CALLS) == {labels: 1}
