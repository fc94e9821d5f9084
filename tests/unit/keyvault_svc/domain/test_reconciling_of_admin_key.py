"""Leases of the admin key, and who may reconcile at all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.errors import (
    KeyDisabledError,
    KeyNotFoundError,
    KeyPendingError,
    SuspendedError,
)
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.reconciliation import Counted, Tolerance
from keyvault_svc.domain.reconciling import ReconcilingPolicy, ReportedUsage
from svc_runtime.service_error import CallerNotAllowedError
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import GATEWAY, REQUEST
from tests.unit.keyvault_svc.reconciling_stage import ADMIN_KEY, ReconcilingStage
from tests.unit.keyvault_svc.samples import KEY, make_record

YESTERDAY = START.date() - timedelta(days=1)
ID = "key_alice0123"


async def test_the_admin_key_is_leased_under_one_id_that_all_reads_bear() -> None:
    stage = ReconcilingStage(make_record(name=ADMIN_KEY))

    lease = await stage.reconciling.lease_admin_key(GATEWAY, REQUEST)

    assert (lease.key, lease.grant_id) == (ADMIN_KEY, "")
    tags = [*stage.store.reads, *stage.controls.reads]
    assert {(tag.lease_id, tag.app, tag.key, tag.request_id) for tag in tags} == {
        (lease.lease_id, str(GATEWAY), str(ADMIN_KEY), REQUEST)
    }
    assert len(tags) == 2


async def test_two_leases_of_the_admin_key_differ() -> None:
    stage = ReconcilingStage(make_record(name=ADMIN_KEY))

    leases = [await stage.reconciling.lease_admin_key(GATEWAY, REQUEST) for _ in range(2)]

    assert leases[0].lease_id != leases[1].lease_id


@pytest.mark.parametrize(
    ("state", "error"),
    [(KeyState.PENDING, KeyPendingError), (KeyState.DISABLED, KeyDisabledError)],
)
async def test_an_admin_key_that_does_not_serve_is_not_leased(
    state: KeyState, error: type[Exception]
) -> None:
    stage = ReconcilingStage(make_record(name=ADMIN_KEY, state=state))

    with pytest.raises(error):
        await stage.reconciling.lease_admin_key(GATEWAY, REQUEST)


@pytest.mark.parametrize("stopped", [ADMIN_KEY, ADMIN_KEY.owner, GATEWAY, None])
async def test_operators_can_stop_the_use_of_the_admin_key(stopped: object) -> None:
    stage = ReconcilingStage(make_record(name=ADMIN_KEY))
    subject = Subject(stopped)  # type: ignore[arg-type]  # one of the kinds, by the table above
    stage.controls.stored = Controls({subject: Suspension(subject, "why", "oscar", START)})

    with pytest.raises(SuspendedError):
        await stage.reconciling.lease_admin_key(GATEWAY, REQUEST)


async def test_an_admin_key_that_openai_refused_is_verified_again() -> None:
    stage = ReconcilingStage(make_record(name=ADMIN_KEY))

    await stage.reconciling.recheck_admin_key(GATEWAY, REQUEST)

    assert stage.queued(ADMIN_KEY).is_recheck


async def _everything(stage: ReconcilingStage, gateway: SpiffeId) -> list[Exception]:
    failures: list[Exception] = []
    for call in (
        stage.reconciling.list_keys(gateway, None, "", REQUEST),
        stage.reconciling.lease_admin_key(gateway, REQUEST),
        stage.reconciling.recheck_admin_key(gateway, REQUEST),
        stage.reconciling.report(
            gateway, YESTERDAY, [ReportedUsage(ID, (KEY,), Counted(1, 1))], REQUEST
        ),
    ):
        try:
            await call
        except (KeyNotFoundError, CallerNotAllowedError) as error:
            failures.append(error)
    return failures


async def test_without_an_admin_key_nothing_is_reconciled() -> None:
    stage = ReconcilingStage(make_record().identified(ID), policy=ReconcilingPolicy())

    failures = await _everything(stage, GATEWAY)

    assert [type(failure) for failure in failures] == [KeyNotFoundError] * 4
    assert stage.store.reads == []


async def test_only_the_gateways_that_are_named_may_reconcile() -> None:
    other = SpiffeId.parse("spiffe://example.org/svc/reconciler")
    policy = ReconcilingPolicy(ADMIN_KEY, frozenset({other}), Tolerance())
    stage = ReconcilingStage(
        make_record().identified(ID), make_record(name=ADMIN_KEY), policy=policy
    )

    refused = await _everything(stage, GATEWAY)
    allowed = await _everything(stage, other)

    assert [type(failure) for failure in refused] == [CallerNotAllowedError] * 4
    assert allowed == []
