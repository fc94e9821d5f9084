from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from svc_runtime.access_policy import AccessPolicy, MethodAccess
from svc_runtime.authentication import MTLSAuthenticator
from svc_runtime.call_context import current_call
from svc_runtime.caller import Caller
from svc_runtime.clock import SystemClock
from svc_runtime.interceptors.audit import AuditInterceptor
from svc_runtime.interceptors.authorization import AuthorizationInterceptor
from svc_runtime.interceptors.error_status import ErrorStatusInterceptor
from svc_runtime.service_error import CallerUnverifiedError
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Context,
    LogTape,
    call_kind,
    method_of,
    recording,
    serving,
)
from tests.unit.svc_runtime.interceptors.loopback_tls import APP

OUTER = (AuditInterceptor(SystemClock()), ErrorStatusInterceptor({}, "test.keyturn"))
APPS = MTLSAuthenticator(lambda _spiffe_id: frozenset({"app", "extra"}))


class _TrustsNobody:
    async def authenticate(self, context: Context) -> Caller:
        del context
        raise CallerUnverifiedError


def _policy(*roles: str) -> AccessPolicy:
    return {method_of(kind): MethodAccess(frozenset(roles)) for kind in KINDS}


@pytest.fixture(name="tape")
def _tape() -> Iterator[LogTape]:
    with recording() as tape:
        yield tape


@pytest.mark.parametrize("kind", KINDS)
async def test_a_caller_with_one_of_the_roles_passes(kind: str, tape: LogTape) -> None:
    callers: list[Caller | None] = []

    async def act(_context: Context) -> None:
        callers.append(current_call().caller)

    interceptor = AuthorizationInterceptor(APPS, _policy("app", "operator"))
    async with serving(*OUTER, interceptor, act=act) as channel:
        reply = await call_kind(channel, kind)

    assert reply.code == grpc.StatusCode.OK
    assert callers == [Caller(APP, frozenset({"app", "extra"}), source_ip="127.0.0.1")]
    assert (await tape.only_rpc())["caller"] == APP


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "policy", [_policy("gateway"), _policy(), {}], ids=["other role", "empty row", "no row"]
)
async def test_a_caller_whom_the_policy_does_not_name_is_refused(
    kind: str, policy: AccessPolicy, tape: LogTape
) -> None:
    async with serving(*OUTER, AuthorizationInterceptor(APPS, policy)) as channel:
        reply = await call_kind(channel, kind)

    assert (reply.code, reply.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    assert reply.messages == []
    assert ((await tape.only_rpc())["caller"], (await tape.only_rpc())["code"]) == (
        APP,
        "PERMISSION_DENIED",
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_an_unverified_caller_is_refused(kind: str, tape: LogTape) -> None:
    interceptor = AuthorizationInterceptor(_TrustsNobody(), _policy("app"))
    async with serving(*OUTER, interceptor) as channel:
        reply = await call_kind(channel, kind)

    assert (reply.code, reply.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNVERIFIED")
    assert ((await tape.only_rpc())["caller"], (await tape.only_rpc())["source_ip"]) == (
        None,
        "127.0.0.1",
    )
