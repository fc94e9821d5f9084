from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from svc_runtime.access_policy import MethodAccess
from svc_runtime.clock import SystemClock
from svc_runtime.error_details import field_violation_of
from svc_runtime.interceptors.audit import AuditInterceptor
from svc_runtime.interceptors.deadline import DeadlineInterceptor
from svc_runtime.interceptors.error_status import ErrorStatusInterceptor
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Context,
    call_kind,
    method_of,
    recording,
    serving,
)

ROLES = frozenset({"app"})
OUTER = (AuditInterceptor(SystemClock()), ErrorStatusInterceptor({}, "test.keyturn"))
STRICT = DeadlineInterceptor({method_of(kind): MethodAccess(ROLES) for kind in KINDS}, 30)
LENIENT = DeadlineInterceptor(
    {method_of(kind): MethodAccess(ROLES, needs_deadline=False) for kind in KINDS}, 30
)


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    with recording():
        yield


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [None, 31, 3600])
async def test_a_call_without_an_acceptable_deadline_is_refused(
    kind: str, seconds: float | None
) -> None:
    async with serving(*OUTER, STRICT) as channel:
        reply = await call_kind(channel, kind, seconds=seconds)

    assert reply.code == grpc.StatusCode.INVALID_ARGUMENT
    assert reply.error is not None
    assert field_violation_of(reply.error) == (
        "grpc-timeout",
        "a deadline is required, at most 30 seconds",
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [5, 29.99, 30])
async def test_a_call_with_an_acceptable_deadline_passes(kind: str, seconds: float) -> None:
    seen: list[float | None] = []

    async def act(context: Context) -> None:
        seen.append(context.time_remaining())

    async with serving(*OUTER, STRICT, act=act) as channel:
        reply = await call_kind(channel, kind, seconds=seconds)

    assert reply.code == grpc.StatusCode.OK
    assert seen[0] is not None
    assert 0 < seen[0] <= seconds * 1.01


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [None, 3600])
async def test_a_method_that_needs_none_is_not_asked_for_one(
    kind: str, seconds: float | None
) -> None:
    async with serving(*OUTER, LENIENT) as channel:
        reply = await call_kind(channel, kind, seconds=seconds)

    assert reply.code == grpc.StatusCode.OK
