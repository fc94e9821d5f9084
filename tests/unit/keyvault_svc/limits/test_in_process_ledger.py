from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.lease import Lease, LeaseOutcome, LeaseSettlement
from keyvault_svc.limits import in_process_ledger
from keyvault_svc.limits.in_process_ledger import InProcessLedger
from tests.fakes.fake_clock import START, FakeClock
from tests.unit.keyvault_svc.samples import BILLING, CIPHERTEXT, KEY, make_request

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
        replace(_settlement(1, LeaseOutcome.UNSETTLED), input_tokens=100)
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
