from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.lease import Lease
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage
from keyvault_svc.limits import in_process_ledger
from keyvault_svc.limits.in_process_ledger import InProcessLedger
from tests.fakes.fake_clock import START, FakeClock
from tests.unit.keyvault_svc.samples import (
    BILLING,
    CIPHERTEXT,
    KEY,
    RESERVATION,
    SEARCH,
    make_request,
)

WITHIN = 60
GRANT = GrantName(KEY, "1" * 16)
BOUND = Usage(RESERVATION.input_tokens)


def _lease(number: int) -> Lease:
    return Lease(f"{number:032x}", KEY, 1, "1" * 16, START + timedelta(seconds=10), CIPHERTEXT)


def _settlement(number: int, outcome: LeaseOutcome = LeaseOutcome.SERVED) -> LeaseSettlement:
    return LeaseSettlement(f"{number:032x}", "request-0001", GRANT, str(BILLING), outcome)


def _due(ledger: InProcessLedger, clock: FakeClock) -> list[str]:
    return [due.lease_id for due in ledger.due(clock.now())]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(clock: FakeClock) -> InProcessLedger:
    return InProcessLedger(clock, settle_within_seconds=WITHIN)


def test_a_lease_is_settled_once(ledger: InProcessLedger) -> None:
    ledger.open(_lease(1), make_request(), BOUND)

    assert ledger.settle(_settlement(1))
    assert not ledger.settle(_settlement(1, LeaseOutcome.CANCELLED))


def test_a_lease_of_another_replica_is_settled_once_here(ledger: InProcessLedger) -> None:
    assert ledger.settle(_settlement(7))
    assert not ledger.settle(_settlement(7))


@pytest.mark.parametrize(
    "change",
    [
        {"app": str(SEARCH)},
        {"grant_name": GrantName(KEY, "2" * 16)},
        {"grant_name": GrantName(KeyName(KEY.owner, "another"), "1" * 16)},
    ],
    ids=["app", "grant", "key"],
)
def test_a_lease_is_settled_for_what_it_was_given_for_only(
    ledger: InProcessLedger, change: dict[str, object]
) -> None:
    ledger.open(_lease(1), make_request(), BOUND)

    assert ledger.settle(replace(_settlement(1), **change)) is None  # type: ignore[arg-type]  # any field

    assert ledger.settle(_settlement(1)) is not None


def test_a_settled_lease_does_not_come_due(clock: FakeClock, ledger: InProcessLedger) -> None:
    ledger.open(_lease(1), make_request(), BOUND)
    ledger.settle(_settlement(1))
    clock.advance(WITHIN)

    assert ledger.due(clock.now()) == []


def test_a_lease_comes_due_unsettled_at_the_moment_of_its_time(
    clock: FakeClock, ledger: InProcessLedger
) -> None:
    ledger.open(_lease(1), make_request(), BOUND)
    clock.advance(WITHIN - 0.001)
    assert ledger.due(clock.now()) == []
    clock.advance(0.001)

    assert ledger.due(clock.now()) == [
        replace(_settlement(1, LeaseOutcome.UNSETTLED), usage=RESERVATION)
    ]


def test_a_lease_is_due_until_it_is_settled(clock: FakeClock, ledger: InProcessLedger) -> None:
    ledger.open(_lease(1), make_request(), BOUND)
    clock.advance(WITHIN)
    (due,) = ledger.due(clock.now())
    assert ledger.due(clock.now()) == [due]

    assert ledger.settle(due) == due

    assert ledger.due(clock.now()) == []


def test_a_settlement_after_that_is_a_repetition(clock: FakeClock, ledger: InProcessLedger) -> None:
    ledger.open(_lease(1), make_request(), BOUND)
    clock.advance(WITHIN)
    for due in ledger.due(clock.now()):
        ledger.settle(due)

    assert not ledger.settle(_settlement(1))


def test_only_the_leases_whose_time_is_up_are_due(
    clock: FakeClock, ledger: InProcessLedger
) -> None:
    ledger.open(_lease(1), make_request(), BOUND)
    ledger.open(_lease(2), make_request(), BOUND)
    clock.advance(1)
    ledger.open(_lease(3), make_request(), BOUND)
    ledger.settle(_settlement(1))
    clock.advance(WITHIN - 1)

    assert _due(ledger, clock) == [_lease(2).lease_id]


def test_the_oldest_settlement_is_forgotten_when_memory_is_full(
    ledger: InProcessLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process_ledger, "_REMEMBERED", 2)
    for number in (1, 2, 3):
        ledger.settle(_settlement(number))

    assert not ledger.settle(_settlement(3))
    assert not ledger.settle(_settlement(2))
    assert ledger.settle(_settlement(1))


def test_what_a_gateway_does_not_know_is_what_the_lease_was_given_for(
    ledger: InProcessLedger,
) -> None:
    ledger.open(_lease(1), make_request(), BOUND)

    settled = ledger.settle(_settlement(1, LeaseOutcome.CANCELLED))

    assert settled == replace(_settlement(1, LeaseOutcome.CANCELLED), usage=RESERVATION)
