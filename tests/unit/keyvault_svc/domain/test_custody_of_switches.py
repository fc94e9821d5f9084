from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import (
    KeyStateConflictError,
)
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_change import KeyChange
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.limits import Limits
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import (
    ALICE,
    API_KEY,
    GATEWAY,
    OTHER_API_KEY,
    REQUEST,
    Stage,
)
from tests.unit.keyvault_svc.samples import KEY, make_record

DAY = timedelta(days=1)
NEVER = KeyChange(sets_expire_time=True)
EU = "https://eu.api.openai.com/v1"


async def test_a_verification_that_an_owner_asks_for_is_queued() -> None:
    stage = Stage(make_record())

    record = await stage.custody.verify(ALICE, KEY, REQUEST)

    assert record.state is KeyState.ACTIVE
    assert stage.queued().is_due(START)


@pytest.mark.parametrize("state", [KeyState.DISABLED, KeyState.EXPIRED, KeyState.DELETED])
async def test_what_shall_not_be_opened_is_not_queued(state: KeyState) -> None:
    stage = Stage(make_record(state=state))

    with pytest.raises(KeyStateConflictError):
        await stage.custody.verify(ALICE, KEY, REQUEST)

    assert stage.verifications.entries == {}


async def test_a_key_that_is_switched_on_is_verified_before_it_serves() -> None:
    stage = Stage(make_record())

    assert (await stage.custody.disable(ALICE, KEY, REQUEST)).state is KeyState.DISABLED
    assert stage.verifications.entries == {}
    assert (await stage.custody.enable(ALICE, KEY, REQUEST)).state is KeyState.PENDING
    await stage.verify()

    assert stage.stored().state is KeyState.ACTIVE


async def test_an_update_changes_what_it_names_and_nothing_else() -> None:
    stage = Stage(replace(make_record(), expire_time=START + DAY))

    high = await stage.custody.update(ALICE, KEY, KeyChange(assurance=KeyAssurance.HIGH), REQUEST)
    never = await stage.custody.update(ALICE, KEY, NEVER, REQUEST)

    assert (high.assurance, high.expire_time) == (KeyAssurance.HIGH, START + DAY)
    assert (never.assurance, never.expire_time) == (KeyAssurance.HIGH, None)
    assert never.state is KeyState.ACTIVE


async def test_limits_take_the_place_of_those_that_the_key_has() -> None:
    stage = Stage(make_record())

    await stage.custody.update(
        ALICE,
        KEY,
        KeyChange(limits=lambda _: Limits(concurrent_calls=2, tokens_per_day=9)),
        REQUEST,
    )
    fewer = KeyChange(limits=lambda before: replace(before, tokens_per_day=None))
    changed = await stage.custody.update(ALICE, KEY, fewer, REQUEST)

    assert changed.limits == stage.stored().limits == Limits(concurrent_calls=2)
    assert changed.state is KeyState.ACTIVE


async def test_a_renewed_key_is_verified_before_it_serves() -> None:
    stage = Stage(replace(make_record(), expire_time=START))

    renewed = await stage.custody.update(ALICE, KEY, NEVER, REQUEST)
    assert renewed.state is KeyState.PENDING
    await stage.verify()

    assert stage.stored().state is KeyState.ACTIVE


async def test_a_key_is_used_where_its_owner_says_and_the_deployment_allows() -> None:
    stage = Stage(policy=KeyPolicy(base_urls=frozenset({EU})))

    created = await stage.custody.create(ALICE, KEY, API_KEY, REQUEST, base_url=EU)
    assert created.base_url == EU
    await stage.verify()
    moved = await stage.custody.update(ALICE, KEY, KeyChange(base_url=""), REQUEST)
    assert (moved.base_url, moved.state) == ("", KeyState.PENDING)
    await stage.verify()

    assert (stage.stored().base_url, stage.stored().state) == ("", KeyState.ACTIVE)


async def test_a_place_that_the_deployment_does_not_allow_is_refused_with_those_it_does() -> None:
    stage = Stage(policy=KeyPolicy(base_urls=frozenset({EU})))

    with pytest.raises(InvalidFieldError) as of_creation:
        await stage.custody.create(ALICE, KEY, API_KEY, REQUEST, base_url="https://evil.example")
    stage.store.put(make_record())
    with pytest.raises(InvalidFieldError) as of_update:
        await stage.custody.update(ALICE, KEY, KeyChange(base_url="https://evil.example"), REQUEST)

    assert [e.value.field for e in (of_creation, of_update)] == ["base_url", "key.base_url"]
    assert EU in of_update.value.public_message
    assert stage.stored().base_url == ""


@pytest.mark.parametrize("operation", ["update", "enable"])
async def test_no_owner_brings_a_key_back_that_is_too_old(operation: str) -> None:
    state = KeyState.DISABLED if operation == "enable" else KeyState.ACTIVE
    stage = Stage(make_record(state=state), policy=KeyPolicy(max_age=DAY))

    if operation == "enable":
        record = await stage.custody.enable(ALICE, KEY, REQUEST)
    else:
        record = await stage.custody.update(
            ALICE, KEY, KeyChange(START + DAY, sets_expire_time=True), REQUEST
        )

    assert record == stage.stored()
    assert record.state is KeyState.EXPIRED
    assert stage.verifications.entries == {}


async def test_a_deleted_key_leaves_nothing() -> None:
    stage = Stage()
    await stage.rotated()
    await stage.custody.rotate(ALICE, KEY, API_KEY, REQUEST)
    revision = stage.stored().revision

    proof = await stage.custody.delete(ALICE, KEY, REQUEST)

    assert proof.key == KEY
    assert proof.confirm_time == START
    assert proof.destroyed_version_count == revision + 1
    assert not (stage.store.versions)
    assert not (stage.index.noted)
    assert await stage.store.list_ids(KEY.owner, REQUEST) == []


async def test_a_deleted_keys_verification_and_retirements_run_empty() -> None:
    stage = Stage()
    await stage.rotated()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    await stage.custody.delete(ALICE, KEY, REQUEST)

    for _ in range(10):
        assert await stage.verifying.claim(GATEWAY, REQUEST) is None
        stage.clock.advance(2)
    await stage.keep_up(seconds=2 * DAY.total_seconds())

    assert not (stage.verifications.entries)
    assert not (stage.retirements.entries)


async def test_the_name_and_the_plaintext_of_a_deleted_key_are_free() -> None:
    stage = Stage()
    await stage.active()
    await stage.custody.delete(ALICE, KEY, REQUEST)

    record = await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert (record.state, record.revision) == (KeyState.PENDING, 1)
