from __future__ import annotations

from datetime import timedelta

import pytest

from keyvault_svc.domain.erasure import RetentionPolicy
from keyvault_svc.domain.names import KeyName
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import ALICE, REQUEST, Stage
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record

NAMES = [KeyName.parse(f"users/alice/keys/{key_id}", "name") for key_id in "abc"]
BOBS = KeyName.parse("users/bob/keys/openai", "name")
DAY = timedelta(days=1)


def _stage() -> Stage:
    mine = [make_record(make_grant(), name=n, fingerprint=n.key_id) for n in NAMES]
    return Stage(*mine, make_record(name=BOBS))


def test_what_stays_elsewhere_is_told_with_its_end() -> None:
    stage = Stage(retention=RetentionPolicy(vault_backups=30 * DAY, service_logs=DAY))

    notices = {notice.place: notice for notice in stage.erasure.notices()}

    assert set(notices) == {"vault_backups", "vault_audit_log", "service_logs"}
    assert notices["vault_backups"].gone_time == START + 30 * DAY
    assert notices["service_logs"].retention == DAY
    assert all(notice.content for notice in notices.values())


def test_what_the_deployment_does_not_declare_has_no_known_end() -> None:
    notices = Stage().erasure.notices()

    assert {(notice.retention, notice.gone_time) for notice in notices} == {(None, None)}


async def test_everything_of_one_owner_is_exported_and_nothing_of_others() -> None:
    records = await _stage().erasure.export(ALICE, KEY.owner, REQUEST)

    assert [record.name for record in records] == NAMES
    assert all(record.grants for record in records)


async def test_an_erased_owner_has_nothing_left_and_others_lose_nothing() -> None:
    stage = _stage()

    proofs = await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert [proof.key for proof in proofs] == NAMES
    assert all(proof.destroyed_version_count == 2 for proof in proofs)
    assert set(stage.store.versions) == {BOBS}
    assert stage.index.noted == {"hmac": (BOBS,)}


async def test_an_owner_of_nothing_is_erased_already() -> None:
    assert await Stage().erasure.erase(ALICE, KEY.owner, REQUEST) == []


async def test_a_key_that_somebody_else_deletes_meanwhile_is_passed_over() -> None:
    stage = _stage()
    stage.line.before("read record", lambda: stage.custody.delete(ALICE, NAMES[0], REQUEST))

    proofs = await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert [proof.key for proof in proofs] == NAMES[1:]
    assert set(stage.store.versions) == {BOBS}


async def test_an_erasure_that_broke_off_is_finished_by_another() -> None:
    stage = _stage()
    stage.line.break_at(20)
    with pytest.raises(VaultUnavailableError):
        await stage.erasure.erase(ALICE, KEY.owner, REQUEST)
    assert len(stage.store.versions) > 1
    stage.line.mend()

    await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert set(stage.store.versions) == {BOBS}


async def test_a_key_whose_deletion_broke_off_is_erased_too() -> None:
    stage = Stage(make_record().deleted(START - DAY))

    (proof,) = await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert proof.key == KEY
    assert stage.store.versions == {}
