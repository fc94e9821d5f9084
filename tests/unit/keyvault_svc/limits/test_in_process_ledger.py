from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.lease import Lease, LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from keyvault_svc.limits import in_process_ledger
from keyvault_svc.limits.in_process_ledger import InProcessLedger
from tests.fakes.fake_clock import START, FakeClock
from tests.unit.keyvault_svc.samples import BILLING, CIPHERTEXT, KEY, RESERVATION, make_request

WITHIN = 60


def _lease(number: int) -> Lease:
    return Lease(f"{number:032x}", KEY, 1, "1" * 16, START + timedelta(seconds=10), CIPHERTEXT)


def _settlement(number: int, outcome: LeaseOutcome = LeaseOutcome.SERVED) -> LeaseSettlement:
    grant = f"{KEY}/grants/{'1' * 16}"
    return LeaseSettlement(f"{number:032x}", "request-0001", str(KEY), grant, str(BILLING), outcome)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(clock: FakeClock) -> InProcessLedger:
    return InProcessLedger(clock, settle_within_seconds=WITHIN)


def test_a_lease_is_settled_once(ledger: InProcessLedger) -> None:
    ledger.open(_lease(1), make_request())

    assert ledger.settle(_settlement(1))
    assert not ledger.settle(_settlement(1, LeaseOutcome.CANCELLED))


def test_a_lease_of_another_replica_is_settled_once_here(ledger: InProcessLedger) -> None:
    assert ledger.settle(_settlement(7))
    assert not ledger.settle(_settlement(7))


def test_a_settled_lease_does_not_expire(clock: FakeClock, ledger: InProcessLedger) -> None:
    ledger.open(_lease(1), make_request())
    ledger.settle(_settlement(1))
    clock.advance(WITHIN)

    assert ledger.expire(clock.now()) == []


def test_a_lease_expires_unsettled_at_the_moment_of_its_time(
    clock: FakeClock, ledger: InProcessLedger
) -> None:
    ledger.open(_lease(1), make_request())
    clock.advance(WITHIN - 0.001)
    assert ledger.expire(clock.now()) == []
    clock.advance(0.001)

    assert ledger.expire(clock.now()) == [
        replace(_settlement(1, LeaseOutcome.UNSETTLED), usage=RESERVATION)
    ]


def test_a_lease_expires_once(clock: FakeClock, ledger: InProcessLedger) -> None:
    ledger.open(_lease(1), make_request())
    clock.advance(WITHIN)
    ledger.expire(clock.now())

    assert ledger.expire(clock.now()) == []


def test_a_settlement_after_the_expiry_is_a_repetition(
    clock: FakeClock, ledger: InProcessLedger
) -> None:
    ledger.open(_lease(1), make_request())
    clock.advance(WITHIN)
    ledger.expire(clock.now())

    assert not ledger.settle(_settlement(1))


def test_only_the_leases_whose_time_is_up_expire(clock: FakeClock, ledger: InProcessLedger) -> None:
    ledger.open(_lease(1), make_request())
    ledger.open(_lease(2), make_request())
    clock.advance(1)
    ledger.open(_lease(3), make_request())
    ledger.settle(_settlement(1))
    clock.advance(WITHIN - 1)

    assert [settled.lease_id for settled in ledger.expire(clock.now())] == [_lease(2).lease_id]


def test_the_oldest_settlement_is_forgotten_when_memory_is_full(
    ledger: InProcessLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process_ledger, "_REMEMBERED", 2)
    for number in (1, 2, 3):
        ledger.settle(_settlement(number))

    assert not ledger.settle(_settlement(3))
    assert not ledger.settle(_settlement(2))
    assert ledger.settle(_settlement(1))


REPORTED = Usage(5, 6, model="gpt-4o-2024", source=UsageSource.REPORTED)


@pytest.mark.parametrize(
    ("outcome", "status", "reported", "settled"),
    [
        (LeaseOutcome.SERVED, 200, REPORTED, REPORTED),
        (LeaseOutcome.SERVED, 200, Usage(), Usage(model="gpt-4o")),
        (LeaseOutcome.CANCELLED, 200, REPORTED, REPORTED),
        (LeaseOutcome.CANCELLED, 200, Usage(), RESERVATION),
        (LeaseOutcome.CANCELLED, 0, Usage(), RESERVATION),
        (LeaseOutcome.UPSTREAM_FAILED, 200, Usage(), RESERVATION),
        (LeaseOutcome.UPSTREAM_FAILED, 0, Usage(), Usage(model="gpt-4o")),
        (LeaseOutcome.KEY_REJECTED, 401, Usage(), Usage(model="gpt-4o")),
        (LeaseOutcome.UNUSED, 0, Usage(), Usage(model="gpt-4o")),
    ],
    ids=range(9),
)
def test_a_request_that_broke_off_untold_stands_at_its_reservation(
    ledger: InProcessLedger, outcome: LeaseOutcome, status: int, reported: Usage, settled: Usage
) -> None:
    ledger.open(_lease(1), make_request())
    settlement = replace(_settlement(1, outcome), usage=reported, http_status=status)

    assert ledger.settle(settlement) == replace(settlement, usage=settled)


def test_what_was_seen_of_a_stream_counts_before_the_reservation(ledger: InProcessLedger) -> None:
    ledger.open(_lease(1), make_request())
    seen = Usage(output_tokens=9, model="gpt-4o", source=UsageSource.SEEN)
    settlement = replace(_settlement(1, LeaseOutcome.CANCELLED), usage=seen, http_status=200)

    assert ledger.settle(settlement) == settlement
