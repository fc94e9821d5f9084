from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import (
    AppProofInvalidError,
    GrantRevokedError,
    KeyRecordUnreadableError,
    NotGrantedError,
)
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.lease import LeaseOutcome, LeaseRequest, LeaseSettlement
from keyvault_svc.domain.leasing import KeyLeasing
from keyvault_svc.domain.usage import Usage
from keyvault_svc.limits.in_process_ledger import InProcessLedger
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_app_proof import FakeAppProof
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import REQUEST, TEAM_KEY, Stage
from tests.unit.keyvault_svc.samples import (
    KEY,
    make_grant,
    make_record,
    make_request,
)


class _Stage(Stage):
    def __init__(self, *records: KeyRecord) -> None:
        super().__init__(*records)
        self.ledger = InProcessLedger(self.clock, settle_within_seconds=60)
        self.leasing = KeyLeasing(
            self.records,
            self.handoff,
            self.ledger,
            self.verifying,
            FakeAppProof(),
            self.clock,
        )

    def unsettled(self) -> list[LeaseSettlement]:
        return self.ledger.expire(START + timedelta(days=1))


def _settlement(lease_id: str, request: LeaseRequest) -> LeaseSettlement:
    return LeaseSettlement(
        lease_id,
        request.request_id,
        str(request.key),
        f"{request.key}/grants/{'0' * 16}",
        str(request.app),
        LeaseOutcome.SERVED,
    )


async def test_keys_that_openai_refused_are_tried_once_each() -> None:
    stage = _Stage(make_record())
    refused = [
        replace(_settlement(f"{number:032x}", make_request()), outcome=LeaseOutcome.KEY_REJECTED)
        for number in range(3)
    ]
    others = [
        replace(_settlement(f"{9 + n:032x}", make_request()), outcome=outcome, key=str(TEAM_KEY))
        for n, outcome in enumerate(sorted(set(LeaseOutcome) - {LeaseOutcome.KEY_REJECTED}))
    ]

    counted, repeated = await stage.leasing.settle([*refused, *others], REQUEST)

    assert (len(counted), repeated) == (len(refused) + len(others), 0)
    assert stage.line.requests == ["write verification"]
    assert set(stage.verifications.entries) == {KEY}
    assert stage.queued().is_recheck
    assert stage.stored().state is KeyState.ACTIVE


async def test_a_repeated_settlement_has_no_key_tried_again() -> None:
    stage = _Stage(make_record())
    refused = replace(_settlement("0" * 32, make_request()), outcome=LeaseOutcome.KEY_REJECTED)
    await stage.leasing.settle([refused], REQUEST)
    stage.verifications.entries.clear()

    await stage.leasing.settle([refused], REQUEST)

    assert stage.verifications.entries == {}


@pytest.mark.parametrize("failure", [VaultUnavailableError, KeyRecordUnreadableError])
async def test_settlements_count_even_if_no_key_can_be_queued(
    failure: type[ServiceError],
) -> None:
    stage = _Stage(make_record())
    refused = replace(_settlement("0" * 32, make_request()), outcome=LeaseOutcome.KEY_REJECTED)

    def fail() -> None:
        raise failure

    stage.line.before("write verification", fail)
    assert await stage.leasing.settle([refused], REQUEST) == ([refused], 0)


async def test_the_first_settlement_of_a_lease_counts() -> None:
    stage = _Stage(make_record(make_grant(1)))
    lease = await stage.leasing.acquire(make_request())
    served = _settlement(lease.lease_id, make_request())

    counted, repeated = await stage.leasing.settle([served, served], REQUEST)

    assert repeated == 1
    assert counted == [replace(served, usage=Usage(model=make_request().model))]
    assert await stage.leasing.settle([served], REQUEST) == ([], 1)
    assert stage.unsettled() == []


async def test_settling_nothing_counts_nothing() -> None:
    assert await _Stage().leasing.settle([], REQUEST) == ([], 0)


@pytest.mark.parametrize("error", [NotGrantedError, GrantRevokedError, AppProofInvalidError])
def test_no_refusal_of_an_app_invites_a_retry(error: type[ServiceError]) -> None:
    assert error.retry_after_seconds is None
