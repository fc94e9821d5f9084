from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import (
    AppProofInvalidError,
    GrantRevokedError,
    KeyExpiredError,
    KeyRecordUnreadableError,
    ModelNotGrantedError,
    NotGrantedError,
)
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.lease import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.leasing import KeyLeasing
from keyvault_svc.domain.ports import AppProof, AuditTags
from keyvault_svc.limits.in_process_ledger import InProcessLedger
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_app_proof import FakeAppProof
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import Stage
from tests.unit.keyvault_svc.samples import (
    BILLING,
    CIPHERTEXT,
    KEY,
    RESERVATION,
    SEARCH,
    make_grant,
    make_record,
    make_request,
    make_terms,
    make_version,
)

TOKEN = SecretBytes(b"header.canary.signature")


class _Stage(Stage):
    def __init__(
        self,
        *records: KeyRecord,
        proof: AppProof | None = None,
        is_always_wrapped: bool = False,
    ) -> None:
        super().__init__(*records, is_always_wrapped=is_always_wrapped)
        self.ledger = InProcessLedger(self.clock, settle_within_seconds=60)
        self.leasing = KeyLeasing(
            self.records,
            self.handoff,
            self.ledger,
            self.verifying,
            proof or FakeAppProof(),
            self.clock,
        )

    def unsettled(self) -> list[LeaseSettlement]:
        return self.ledger.expire(START + timedelta(days=1))


async def test_a_granted_request_gets_the_sealed_key_for_ten_seconds() -> None:
    stage = _Stage(make_record(make_grant(1)))

    lease = await stage.leasing.acquire(make_request())

    assert (lease.key, lease.key_version, lease.ciphertext) == (KEY, 1, CIPHERTEXT)
    assert lease.grant_id == make_grant(1).grant_id
    assert lease.expire_time == START + timedelta(seconds=10)
    assert len(lease.lease_id) == 32
    assert set(lease.lease_id) <= set("0123456789abcdef")


async def test_a_lease_takes_one_read_under_its_own_id() -> None:
    stage = _Stage(make_record(make_grant(1)))

    lease = await stage.leasing.acquire(make_request())

    assert stage.store.reads == [AuditTags("request-0001", str(KEY), lease.lease_id, str(BILLING))]
    assert stage.store.writes == []


async def test_every_acquisition_reads_anew_and_is_a_new_lease() -> None:
    stage = _Stage(make_record(make_grant(1)))

    first = await stage.leasing.acquire(make_request())
    second = await stage.leasing.acquire(make_request())

    assert first.lease_id != second.lease_id
    assert len(stage.store.reads) == 2


async def test_a_revocation_holds_from_the_next_request() -> None:
    stage = _Stage(make_record(make_grant(1)))
    await stage.leasing.acquire(make_request())
    stage.store.put(make_record(make_grant(1, revoke_time=START)))

    with pytest.raises(GrantRevokedError):
        await stage.leasing.acquire(make_request())


async def test_an_app_without_a_grant_cannot_tell_whether_the_key_exists() -> None:
    existing = _Stage(make_record(make_grant(1, make_terms(SEARCH))))
    missing = _Stage()

    with pytest.raises(NotGrantedError) as of_existing:
        await existing.leasing.acquire(make_request())
    with pytest.raises(NotGrantedError) as of_missing:
        await missing.leasing.acquire(make_request())

    assert of_existing.value.public_message == of_missing.value.public_message
    assert len(existing.store.reads) == len(missing.store.reads) == 1


@pytest.mark.parametrize("may_choose", [True, False])
async def test_a_lease_tells_whether_the_app_may_name_an_account(*, may_choose: bool) -> None:
    terms = replace(make_terms(), may_choose_account=may_choose)
    stage = _Stage(make_record(make_grant(1, terms)))

    assert (await stage.leasing.acquire(make_request())).may_choose_account is may_choose


async def test_a_refused_request_consumes_nothing() -> None:
    stage = _Stage(make_record(make_grant(1, make_terms(models=("gpt-4o",)))))

    with pytest.raises(ModelNotGrantedError):
        await stage.leasing.acquire(make_request(model="o1"))

    assert stage.unsettled() == []


async def test_a_lease_that_nobody_settles_stands_at_its_reservation() -> None:
    stage = _Stage(make_record(make_grant(1)))

    lease = await stage.leasing.acquire(make_request())

    assert stage.unsettled() == [
        LeaseSettlement(
            lease.lease_id,
            "request-0001",
            str(KEY),
            f"{KEY}/grants/{make_grant(1).grant_id}",
            str(BILLING),
            LeaseOutcome.UNSETTLED,
            RESERVATION,
        )
    ]


async def test_a_token_that_proves_the_app_is_accepted() -> None:
    stage = _Stage(make_record(make_grant(1)), proof=FakeAppProof(TOKEN, BILLING))

    lease = await stage.leasing.acquire(make_request(app_token=TOKEN))

    assert lease.ciphertext == CIPHERTEXT


@pytest.mark.parametrize(
    "proof",
    [FakeAppProof(TOKEN, SEARCH), FakeAppProof(SecretBytes(b"another"), BILLING), FakeAppProof()],
    ids=["another app", "another token", "nothing"],
)
async def test_a_token_that_does_not_prove_the_app_is_refused_before_anything_is_read(
    proof: AppProof,
) -> None:
    stage = _Stage(make_record(make_grant(1)), proof=proof)

    with pytest.raises(AppProofInvalidError):
        await stage.leasing.acquire(make_request(app_token=TOKEN))

    assert stage.store.reads == []


async def test_an_issuer_that_is_away_is_an_outage_and_no_refusal() -> None:
    class UnreachableIssuer:
        async def app_of(self, app_token: SecretBytes) -> SpiffeId:
            del app_token
            raise IssuerUnavailableError

    stage = _Stage(make_record(make_grant(1)), proof=UnreachableIssuer())

    with pytest.raises(IssuerUnavailableError):
        await stage.leasing.acquire(make_request(app_token=TOKEN))


async def test_a_record_that_cannot_be_read_gives_no_lease() -> None:
    stage = _Stage(make_record(make_grant(1)))

    def corrupt() -> None:
        raise KeyRecordUnreadableError

    stage.line.before("read record", corrupt)
    with pytest.raises(KeyRecordUnreadableError):
        await stage.leasing.acquire(make_request())


async def test_while_vault_is_away_there_is_no_lease_and_nothing_is_consumed() -> None:
    stage = _Stage(make_record(make_grant(1)))
    stage.line.break_at(1)

    with pytest.raises(VaultUnavailableError):
        await stage.leasing.acquire(make_request())

    assert stage.unsettled() == []


async def test_a_deployment_that_wraps_hands_over_a_token_instead() -> None:
    stage = _Stage(make_record(make_grant(1)), is_always_wrapped=True)

    lease = await stage.leasing.acquire(make_request())

    tags = AuditTags("request-0001", str(KEY), lease.lease_id, str(BILLING))
    assert lease.ciphertext == ""
    assert lease.wrapping_token is not None
    assert stage.wrapper.wrapped == [(CIPHERTEXT, tags, 10)]


async def test_a_lease_that_cannot_be_wrapped_consumes_nothing() -> None:
    stage = _Stage(make_record(make_grant(1)), is_always_wrapped=True)
    stage.line.break_at(2)

    with pytest.raises(VaultUnavailableError):
        await stage.leasing.acquire(make_request())

    assert stage.unsettled() == []


async def test_a_key_whose_time_is_up_is_not_leased() -> None:
    stage = _Stage(replace(make_record(make_grant(1)), expire_time=START + timedelta(seconds=1)))
    await stage.leasing.acquire(make_request())
    stage.clock.advance(1)

    with pytest.raises(KeyExpiredError):
        await stage.leasing.acquire(make_request())


async def test_during_a_rotation_it_is_the_old_key_that_is_leased() -> None:
    record = make_record(make_grant(1))
    stage = _Stage(replace(record, incoming=make_version(2, KeyState.PENDING), last_number=2))

    lease = await stage.leasing.acquire(make_request())

    assert (lease.key_version, lease.ciphertext) == (1, CIPHERTEXT)
