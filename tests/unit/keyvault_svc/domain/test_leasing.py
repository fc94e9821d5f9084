from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import (
    AppProofInvalidError,
    AppProofRequiredError,
    GrantRevokedError,
    KeyExpiredError,
    KeyRecordUnreadableError,
    NotGrantedError,
    SuspendedError,
)
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.leasing import LeasePolicy
from keyvault_svc.domain.ports import AuditTags
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_app_proof import FakeAppProof
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.decisions import stopped_by
from tests.unit.keyvault_svc.lease_stage import TOKENS, LeaseStage
from tests.unit.keyvault_svc.samples import (
    BILLING,
    CIPHERTEXT,
    KEY,
    SEARCH,
    make_grant,
    make_record,
    make_request,
    make_terms,
    make_version,
)

TOKEN = SecretBytes(b"header.canary.signature")
GRANT = make_grant(1)
LIMITED = make_grant(1, make_terms(limits=replace(TOKENS, concurrent_calls=1)))


async def test_a_granted_request_gets_the_sealed_key_for_ten_seconds() -> None:
    stage = LeaseStage(make_record(GRANT))

    lease = await stage.leasing.acquire(make_request())

    assert (lease.key, lease.key_version, lease.ciphertext) == (KEY, 1, CIPHERTEXT)
    assert lease.grant_id == make_grant(1).grant_id
    assert lease.expire_time == START + timedelta(seconds=10)
    assert len(lease.lease_id) == 32
    assert set(lease.lease_id) <= set("0123456789abcdef")


async def test_a_lease_takes_one_read_of_each_document_under_its_own_id() -> None:
    stage = LeaseStage(make_record(GRANT))

    lease = await stage.leasing.acquire(make_request())

    tags = AuditTags("request-0001", str(KEY), lease.lease_id, str(BILLING))
    assert (stage.store.reads, stage.controls.reads) == ([tags], [tags])
    assert stage.store.writes == []


async def test_every_acquisition_reads_anew_and_is_a_new_lease() -> None:
    stage = LeaseStage(make_record(GRANT))

    first = await stage.leasing.acquire(make_request())
    second = await stage.leasing.acquire(make_request())

    assert first.lease_id != second.lease_id
    assert len(stage.store.reads) == 2


async def test_a_revocation_holds_from_the_next_request() -> None:
    stage = LeaseStage(make_record(GRANT))
    await stage.leasing.acquire(make_request())
    stage.store.put(make_record(make_grant(1, revoke_time=START)))

    with pytest.raises(GrantRevokedError):
        await stage.leasing.acquire(make_request())


async def test_an_app_without_a_grant_cannot_tell_whether_the_key_exists() -> None:
    existing = LeaseStage(make_record(make_grant(1, make_terms(SEARCH))))
    missing = LeaseStage()

    with pytest.raises(NotGrantedError) as of_existing:
        await existing.leasing.acquire(make_request())
    with pytest.raises(NotGrantedError) as of_missing:
        await missing.leasing.acquire(make_request())

    assert of_existing.value.public_message == of_missing.value.public_message
    assert len(existing.store.reads) == len(missing.store.reads) == 1


@pytest.mark.parametrize("may_choose", [True, False])
async def test_a_lease_tells_whether_the_app_may_name_an_account(*, may_choose: bool) -> None:
    terms = replace(make_terms(), may_choose_account=may_choose)
    stage = LeaseStage(make_record(make_grant(1, terms)))

    assert (await stage.leasing.acquire(make_request())).may_choose_account is may_choose


async def test_a_key_that_operators_stopped_is_not_leased_from_the_next_request() -> None:
    stage = LeaseStage(make_record(GRANT))
    await stage.leasing.acquire(make_request())
    stage.controls.stored = stopped_by(KEY)

    with pytest.raises(SuspendedError):
        await stage.leasing.acquire(make_request())


@pytest.mark.parametrize("is_policy", [True, False], ids=["deployment", "grant"])
async def test_where_the_apps_token_is_needed_nothing_goes_without(*, is_policy: bool) -> None:
    terms = replace(make_terms(), needs_app_proof=not is_policy)
    stage = LeaseStage(
        make_record(make_grant(1, terms)),
        policy=LeasePolicy(needs_app_proof=is_policy),
        app_proof=FakeAppProof(TOKEN, BILLING),
    )

    with pytest.raises(AppProofRequiredError):
        await stage.leasing.acquire(make_request())
    assert (await stage.leasing.acquire(make_request(app_token=TOKEN))).ciphertext == CIPHERTEXT


async def test_proofs_are_checked_before_anything_is_read() -> None:
    stage = LeaseStage(make_record(GRANT))

    with pytest.raises(AppProofInvalidError):
        await stage.leasing.acquire(make_request(app_token=TOKEN))

    assert (stage.store.reads, stage.controls.reads, stage.limits.asked) == ([], [], [])


async def test_a_record_that_cannot_be_read_gives_no_lease() -> None:
    stage = LeaseStage(make_record(GRANT))

    def corrupt() -> None:
        raise KeyRecordUnreadableError

    stage.line.before("read record", corrupt)
    with pytest.raises(KeyRecordUnreadableError):
        await stage.leasing.acquire(make_request())


async def test_while_controls_cannot_be_read_nothing_is_leased() -> None:
    stage = LeaseStage(make_record(GRANT))
    stage.controls.line.break_at(1)

    with pytest.raises(VaultUnavailableError):
        await stage.leasing.acquire(make_request())

    assert stage.limits.asked == []


async def test_while_vault_is_away_there_is_no_lease_and_nothing_is_reserved() -> None:
    stage = LeaseStage(make_record(GRANT))
    stage.line.break_at(1)

    with pytest.raises(VaultUnavailableError):
        await stage.leasing.acquire(make_request())

    assert stage.limits.asked == []


async def test_a_deployment_that_wraps_hands_over_a_token_instead() -> None:
    stage = LeaseStage(make_record(make_grant(1)), is_always_wrapped=True)

    lease = await stage.leasing.acquire(make_request())

    tags = AuditTags("request-0001", str(KEY), lease.lease_id, str(BILLING))
    assert lease.ciphertext == ""
    assert lease.wrapping_token is not None
    assert stage.wrapper.wrapped == [(CIPHERTEXT, tags, 10)]


async def test_a_key_whose_time_is_up_is_not_leased() -> None:
    stage = LeaseStage(
        replace(make_record(make_grant(1)), expire_time=START + timedelta(seconds=1))
    )
    await stage.leasing.acquire(make_request())
    stage.clock.advance(1)

    with pytest.raises(KeyExpiredError):
        await stage.leasing.acquire(make_request())


async def test_during_a_rotation_it_is_the_old_key_that_is_leased() -> None:
    record = make_record(make_grant(1))
    stage = LeaseStage(replace(record, incoming=make_version(2, KeyState.PENDING), last_number=2))

    lease = await stage.leasing.acquire(make_request())

    assert (lease.key_version, lease.ciphertext) == (1, CIPHERTEXT)


async def test_a_check_decides_anew_and_neither_reserves_nor_hands_over() -> None:
    stage = LeaseStage(make_record(LIMITED), is_always_wrapped=True)

    for _ in range(3):
        await stage.leasing.check(make_request(output_token_bound=100))

    assert (stage.limits.asked, stage.wrapper.wrapped) == ([], [])
    stage.store.put(make_record(make_grant(1, revoke_time=START)))
    with pytest.raises(GrantRevokedError):
        await stage.leasing.check(make_request())


async def test_a_check_reads_under_no_leases_id() -> None:
    stage = LeaseStage(make_record(GRANT))

    await stage.leasing.check(make_request())

    tags = AuditTags("request-0001", str(KEY), "", str(BILLING))
    assert (stage.store.reads, stage.controls.reads) == ([tags], [tags])


async def test_a_check_goes_on_while_limits_are_spent_or_cannot_be_asked() -> None:
    stage = LeaseStage(make_record(LIMITED))
    await stage.lease()
    stage.limits.break_all()

    await stage.leasing.check(make_request(output_token_bound=100))


async def test_a_check_refuses_what_the_prover_refuses() -> None:
    stage = LeaseStage(make_record(GRANT))

    with pytest.raises(AppProofInvalidError):
        await stage.leasing.check(make_request(app_token=TOKEN))


async def test_no_app_gets_the_admin_key_whatever_it_was_granted() -> None:
    stage = LeaseStage(make_record(GRANT), policy=LeasePolicy(admin_key=KEY))

    with pytest.raises(NotGrantedError):
        await stage.leasing.acquire(make_request())
    with pytest.raises(NotGrantedError):
        await stage.leasing.check(make_request())
    assert stage.store.reads == []
