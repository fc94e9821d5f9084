from __future__ import annotations

from dataclasses import replace

import pytest

from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from tests.unit.keyvault_svc.samples import BILLING, KEY, RESERVATION, SEARCH

GRANT = GrantName(KEY, "1" * 16)
REPORTED = Usage(5, 6, model="gpt-4o-2024", source=UsageSource.REPORTED)
SEEN = Usage(output_tokens=9, model="gpt-4o", source=UsageSource.SEEN)


def _settlement(
    outcome: LeaseOutcome = LeaseOutcome.SERVED, usage: Usage = REPORTED, http_status: int = 200
) -> LeaseSettlement:
    return LeaseSettlement(
        "0" * 32, "request-0001", GRANT, str(BILLING), outcome, usage, http_status
    )


def test_a_settlement_names_its_key_and_its_grant() -> None:
    settlement = _settlement()

    assert settlement.key == "users/alice/keys/openai"
    assert settlement.grant == "users/alice/keys/openai/grants/1111111111111111"


@pytest.mark.parametrize(
    ("outcome", "status", "reported", "settled"),
    [
        (LeaseOutcome.SERVED, 200, REPORTED, REPORTED),
        (LeaseOutcome.SERVED, 200, Usage(), Usage(model="gpt-4o")),
        (LeaseOutcome.CANCELLED, 200, REPORTED, REPORTED),
        (LeaseOutcome.CANCELLED, 200, SEEN, SEEN),
        (LeaseOutcome.CANCELLED, 200, Usage(), RESERVATION),
        (LeaseOutcome.CANCELLED, 0, Usage(), RESERVATION),
        (LeaseOutcome.UPSTREAM_FAILED, 200, Usage(), RESERVATION),
        (LeaseOutcome.UPSTREAM_FAILED, 0, Usage(), Usage(model="gpt-4o")),
        (LeaseOutcome.KEY_REJECTED, 401, Usage(), Usage(model="gpt-4o")),
        (LeaseOutcome.UNUSED, 0, Usage(), Usage(model="gpt-4o")),
    ],
    ids=range(10),
)
def test_a_request_that_broke_off_untold_stands_at_its_reservation(
    outcome: LeaseOutcome, status: int, reported: Usage, settled: Usage
) -> None:
    settlement = _settlement(outcome, reported, status)

    assert settlement.completed(RESERVATION) == replace(settlement, usage=settled)


def test_what_openai_named_stays_beside_a_reservation() -> None:
    usage = Usage(model="gpt-4o-2024", subject="resp_1")

    completed = _settlement(LeaseOutcome.CANCELLED, usage).completed(RESERVATION).usage

    assert (completed.model, completed.subject) == ("gpt-4o-2024", "resp_1")
    assert (completed.input_tokens, completed.source) == (100, UsageSource.RESERVED)


@pytest.mark.parametrize(
    ("outcome", "http_status", "is_well"),
    [
        (LeaseOutcome.SERVED, 200, True),
        (LeaseOutcome.SERVED, 399, True),
        (LeaseOutcome.SERVED, 400, False),
        (LeaseOutcome.SERVED, 500, False),
        (LeaseOutcome.CANCELLED, 200, False),
    ],
)
def test_an_error_of_openais_is_not_served_well(
    outcome: LeaseOutcome, http_status: int, *, is_well: bool
) -> None:
    assert _settlement(outcome, http_status=http_status).is_served_well is is_well


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({}, True),
        ({"outcome": LeaseOutcome.CANCELLED, "usage": SEEN, "request_id": "other"}, True),
        ({"lease_id": "1" * 32}, False),
        ({"grant_name": GrantName(KEY, "2" * 16)}, False),
        ({"app": str(SEARCH)}, False),
    ],
    ids=str,
)
def test_settlements_are_of_one_lease_by_its_id_its_grant_and_its_app(
    change: dict[str, object], *, is_same: bool
) -> None:
    other = replace(_settlement(), **change)  # type: ignore[arg-type]  # any field

    assert other.is_of_lease(_settlement()) is is_same
