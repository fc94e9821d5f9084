from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyvault_svc.domain.errors import LimitStoreUnavailableError, RateLimitedError
from keyvault_svc.domain.limits import LimitKind, Limits
from keyvault_svc.rpc.key_lease_servicer import KeyLeaseServicer
from svc_runtime.authentication import ServicerContext
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.unit.keyvault_svc.lease_stage import BOUND, TOKENS, LeaseStage, limited
from tests.unit.keyvault_svc.samples import BILLING, CIPHERTEXT, KEY, make_grant
from tests.unit.keyvault_svc.servicer_calls import A_GATEWAY, call_by

GRANT = f"{KEY}/grants/{make_grant(1).grant_id}"
DAY = LimitKind.TOKENS_PER_DAY


class _Deadline:
    """What the servicer looks at of a call: how long it may still take."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    def time_remaining(self) -> float | None:
        return self._seconds


def _context(seconds: float | None = 60) -> ServicerContext:
    return cast("ServicerContext", _Deadline(seconds))


def _servicer(stage: LeaseStage) -> KeyLeaseServicer:
    return KeyLeaseServicer(stage.leasing, stage.settling)


def _acquire() -> lease_pb.AcquireLeaseRequest:
    return lease_pb.AcquireLeaseRequest(
        key=str(KEY),
        app=str(BILLING),
        method="POST",
        endpoint="chat/completions",
        model="gpt-4o",
        source_ip="10.1.2.3",
        body_sha256=b"\0" * 32,
        input_token_bound=100,
        output_token_bound=100,
    )


def _check(lease_id: str = "0" * 32) -> lease_pb.CheckLeaseRequest:
    return lease_pb.CheckLeaseRequest(lease_id=lease_id, request=_acquire())


def _settlement(lease_id: str) -> lease_pb.LeaseSettlement:
    return lease_pb.LeaseSettlement(
        lease_id=lease_id,
        request_id="request-0001",
        key=str(KEY),
        grant=GRANT,
        app=str(BILLING),
        outcome=lease_pb.LEASE_OUTCOME_SERVED,
        http_status=200,
        usage=lease_pb.Usage(
            input_tokens=60,
            output_tokens=40,
            model="gpt-4o",
            source=lease_pb.USAGE_SOURCE_REPORTED,
        ),
    )


async def test_a_lease_is_answered_with_what_the_limits_leave() -> None:
    stage = LeaseStage(limited(TOKENS))

    with call_by(A_GATEWAY) as call:
        answer = await _servicer(stage).AcquireLease(_acquire(), _context())

    lease = answer.lease
    assert (lease.sealed_key, lease.grant, lease.key_version) == (CIPHERTEXT, GRANT, 1)
    assert lease.remaining.tokens == 1000 - BOUND
    assert not lease.remaining.HasField("requests")
    assert call.fields == {
        "key": str(KEY),
        "app": str(BILLING),
        "endpoint": "chat/completions",
        "model": "gpt-4o",
        "lease": lease.lease_id,
        "grant": GRANT,
        "key_version": 1,
    }


async def test_a_refusal_is_logged_with_what_was_asked_for() -> None:
    stage = LeaseStage(limited(Limits(requests_per_minute=1)))
    await stage.lease()

    with call_by(A_GATEWAY) as call, pytest.raises(RateLimitedError):
        await _servicer(stage).AcquireLease(_acquire(), _context())

    assert call.fields == {
        "key": str(KEY),
        "app": str(BILLING),
        "endpoint": "chat/completions",
        "model": "gpt-4o",
    }


async def test_a_request_that_breaks_a_rule_reads_nothing() -> None:
    stage = LeaseStage(limited(TOKENS))
    request = _acquire()
    request.method = ""

    with call_by(A_GATEWAY), pytest.raises(InvalidFieldError):
        await _servicer(stage).AcquireLease(request, _context())

    assert stage.store.reads == []


async def test_a_check_reserves_nothing_and_logs_the_lease() -> None:
    stage = LeaseStage(limited(TOKENS))

    with call_by(A_GATEWAY) as call:
        answer = await _servicer(stage).CheckLease(_check(), _context())

    assert answer == lease_pb.CheckLeaseResponse()
    assert call.fields["lease"] == "0" * 32
    assert await stage.counted(DAY) == (0, 0)


async def test_a_check_of_what_is_no_lease_is_refused() -> None:
    with call_by(A_GATEWAY), pytest.raises(InvalidFieldError) as caught:
        await _servicer(LeaseStage()).CheckLease(_check("lease"), _context())

    assert caught.value.field == "lease_id"


async def test_settlements_that_count_and_those_that_do_not_are_told_apart() -> None:
    stage = LeaseStage(limited(TOKENS))
    ids = [(await stage.lease()).lease_id for _ in range(2)]
    request = lease_pb.SettleLeaseRequest(
        settlements=[_settlement(lease_id) for lease_id in (*ids, ids[0])]
    )

    with call_by(A_GATEWAY) as call:
        first = await _servicer(stage).SettleLease(request, _context())
        second = await _servicer(stage).SettleLease(request, _context())

    assert (first.settled_count, first.duplicate_count) == (2, 1)
    assert (second.settled_count, second.duplicate_count) == (0, 3)
    assert call.fields == {"count": 0, "detail": "not_all_counted"}
    assert await stage.counted(DAY) == (200, 0)


async def test_settlements_that_all_count_are_recorded_without_a_fault() -> None:
    stage = LeaseStage(limited(TOKENS))
    lease = await stage.lease()
    request = lease_pb.SettleLeaseRequest(settlements=[_settlement(lease.lease_id)])

    with call_by(A_GATEWAY) as call:
        await _servicer(stage).SettleLease(request, _context())

    assert call.fields == {"count": 1}


async def test_settlements_that_cannot_be_counted_are_to_be_reported_again() -> None:
    stage = LeaseStage(limited(TOKENS))
    lease = await stage.lease()
    stage.limits.break_all()
    request = lease_pb.SettleLeaseRequest(settlements=[_settlement(lease.lease_id)])

    with call_by(A_GATEWAY), pytest.raises(LimitStoreUnavailableError):
        await _servicer(stage).SettleLease(request, _context())


async def _hang() -> None:
    await asyncio.Event().wait()


CALLS: list[Callable[[KeyLeaseServicer, ServicerContext], Awaitable[object]]] = [
    lambda servicer, context: servicer.AcquireLease(_acquire(), context),
    lambda servicer, context: servicer.CheckLease(_check(), context),
]


@pytest.mark.parametrize("call", CALLS, ids=["acquire", "check"])
@pytest.mark.parametrize("seconds", [0.01, 0.0, None])
async def test_the_gateway_hears_that_vault_hangs_before_it_gives_up(
    call: Callable[[KeyLeaseServicer, ServicerContext], Awaitable[object]], seconds: float | None
) -> None:
    stage = LeaseStage(limited(TOKENS))
    stage.line.before("read record", _hang)

    with call_by(A_GATEWAY), pytest.raises(VaultUnavailableError):
        await call(_servicer(stage), _context(seconds))

    assert await stage.counted(DAY) == (0, 0)
