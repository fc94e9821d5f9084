"""What leasing has observed: the refusals of apps that hold a grant."""

from __future__ import annotations

from collections import Counter

import pytest

from keyvault_svc.domain.anomalies.policy import Figure
from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.limits import Limits
from svc_runtime.service_error import ServiceError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.lease_stage import LeaseStage, limited
from tests.unit.keyvault_svc.samples import (
    KEY,
    SEARCH,
    make_grant,
    make_record,
    make_request,
    make_terms,
)

REVOKED = make_record(make_grant(1, revoke_time=START))
NARROW = make_record(make_grant(1, make_terms(models=("o3",))))


@pytest.mark.parametrize(
    ("record", "figure", "cause"),
    [
        (REVOKED, Figure.LATE, "revoked"),
        (make_record(make_grant(1), state=KeyState.DISABLED), Figure.LATE, "disabled"),
        (make_record(make_grant(1), state=KeyState.REJECTED), Figure.LATE, "rejected"),
        (NARROW, Figure.REFUSALS, ""),
        (limited(Limits(tokens_per_day=1)), Figure.REFUSALS, ""),
    ],
    ids=["revoked", "disabled", "rejected", "model", "budget"],
)
async def test_a_refused_lease_is_observed_with_its_reason(
    record: KeyRecord, figure: Figure, cause: str
) -> None:
    stage = LeaseStage(record)

    with pytest.raises(ServiceError):
        await stage.lease()

    (tally,) = stage.watch.take().tallies
    assert tally.grant.key == KEY
    assert (tally.figures, tally.late_cause) == (Counter({figure: 1}), cause)


async def test_a_refused_check_is_observed() -> None:
    stage = LeaseStage(REVOKED)

    with pytest.raises(ServiceError):
        await stage.leasing.check(make_request())

    assert len(stage.watch.take().tallies) == 1


async def test_a_lease_that_is_given_is_no_refusal() -> None:
    stage = LeaseStage(make_record(make_grant(1)))

    await stage.lease()

    assert stage.watch.take().tallies == ()


async def test_strangers_stops_and_outages_are_not_observed() -> None:
    stage = LeaseStage(make_record(make_grant(1)))
    with pytest.raises(ServiceError):
        await stage.lease(app=SEARCH)
    stage.controls.stored = Controls({Subject(None): Suspension(Subject(None), "x", "olga", START)})
    with pytest.raises(ServiceError):
        await stage.lease()
    stage.line.break_at(1)
    with pytest.raises(ServiceError):
        await stage.lease()

    assert stage.watch.take().tallies == ()
