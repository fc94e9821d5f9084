from __future__ import annotations

import functools
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import (
    KeyChangedMeanwhileError,
    KeyDuplicateError,
    KeyNotFoundError,
    KeyStateConflictError,
)
from keyvault_svc.domain.key_policy import MAX_OVERLAP, KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import KeyName
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START
from tests.fakes.fake_key_sealer import fingerprint_of
from tests.unit.keyvault_svc.custody_stage import (
    ALICE,
    API_KEY,
    OTHER_API_KEY,
    REQUEST,
    TEXT,
    THIRD_API_KEY,
    WRONG_KEY,
    Stage,
)
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_terms

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def _put(stage: Stage, record: KeyRecord) -> None:
    stage.store.put(record)


def _grant(stage: Stage, number: int) -> None:
    app = SpiffeId.parse(f"spiffe://example.org/app/a{number}")
    _put(stage, stage.stored().with_grant(make_grant(number, make_terms(app)), START))


async def test_the_old_key_serves_until_the_new_one_is_verified() -> None:
    stage = Stage()
    first = await stage.active()
    await stage.consent.create_grant(ALICE, KEY, make_terms(), TEXT.version, REQUEST)

    rotating = await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    assert rotating.current == first.current
    assert stage.queued().is_due(START)
    await stage.verify()

    rotated = stage.stored()
    assert (rotated.state, rotated.current.number) == (KeyState.ACTIVE, 2)
    assert len(rotated.grants) == 1


async def test_the_old_key_is_destroyed_after_the_overlap() -> None:
    stage = Stage()
    first = await stage.active()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST, overlap=60 * SECOND)
    await stage.verify()

    await stage.keep_up(seconds=59)
    assert first.ciphertexts <= stage.held_plaintexts()
    await stage.keep_up(seconds=1)
    assert stage.retirements.due_seconds(KEY) == [int(START.timestamp()) + 120]
    await stage.keep_up(seconds=60)

    assert stage.held_plaintexts() == stage.stored().ciphertexts
    assert not first.ciphertexts & stage.held_plaintexts()
    assert stage.index.noted == {fingerprint_of(OTHER_API_KEY): (KEY,)}
    assert stage.stored().retiring is None
    assert stage.retirements.entries == {}


async def test_without_an_overlap_the_old_key_is_destroyed_at_once() -> None:
    stage = Stage()

    rotated = await stage.rotated(overlap=timedelta())

    assert rotated.retiring is None
    assert stage.store.versions[KEY] == {rotated.revision: rotated}
    assert stage.index.noted == {fingerprint_of(OTHER_API_KEY): (KEY,)}


@pytest.mark.parametrize(("overlap", "seconds"), [(None, 7200), (DAY, 86_400)])
async def test_the_overlap_is_the_owners_or_else_the_deployments(
    overlap: timedelta | None, seconds: int
) -> None:
    stage = Stage(policy=KeyPolicy(overlap=timedelta(hours=2)))

    retiring = (await stage.rotated(overlap)).retiring

    assert retiring is not None
    assert retiring.destroy_time == START + timedelta(seconds=seconds)


@pytest.mark.parametrize("overlap", [-SECOND, MAX_OVERLAP + SECOND])
async def test_an_overlap_out_of_its_range_is_refused(overlap: timedelta) -> None:
    stage = Stage()
    await stage.active()

    with pytest.raises(InvalidFieldError) as caught:
        await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST, overlap=overlap)

    assert caught.value.field == "overlap"


async def test_a_failed_rotation_leaves_the_old_key_and_destroys_the_wrong_one() -> None:
    stage = Stage()
    first = await stage.active()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    await stage.verify(WRONG_KEY)

    record = stage.stored()
    assert record.current == first.current
    assert stage.held_plaintexts() == first.ciphertexts
    assert stage.index.noted == {fingerprint_of(API_KEY): (KEY,)}
    assert stage.verifications.entries == {}


async def test_after_a_failed_rotation_the_same_plaintext_can_be_tried_again() -> None:
    stage = Stage()
    await stage.active()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    await stage.verify(WRONG_KEY)

    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    await stage.verify()

    assert stage.stored().current.number == 3
    assert stage.index.noted[fingerprint_of(OTHER_API_KEY)] == (KEY,)


async def test_a_repeated_rotation_only_asks_for_the_verification_again() -> None:
    stage = Stage()
    await stage.active()
    first = await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    assert await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST) == first
    assert stage.queued().is_due(START)


async def test_a_rotation_to_the_plaintext_that_serves_changes_nothing() -> None:
    stage = Stage()
    first = await stage.active()

    assert await stage.custody.rotate(ALICE, KEY, API_KEY, REQUEST) == first


async def test_a_plaintext_that_another_key_of_the_owner_holds_is_refused() -> None:
    stage = Stage()
    await stage.active()
    other = KeyName.parse("users/alice/keys/other", "name")
    await stage.custody.create(ALICE, other, OTHER_API_KEY, REQUEST)

    with pytest.raises(KeyDuplicateError):
        await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    assert stage.stored().incoming is None


async def test_a_rotation_of_what_is_not_there_notes_nothing() -> None:
    stage = Stage()

    with pytest.raises(KeyNotFoundError):
        await stage.custody.rotate(ALICE, KEY, API_KEY, REQUEST)

    assert stage.sealer.sealed_names == []
    assert stage.index.noted == {}


async def test_a_rotation_keeps_a_grant_that_was_made_meanwhile() -> None:
    stage = Stage()
    await stage.active()
    stage.line.before(
        "write record",
        lambda: _put(stage, stage.stored().with_grant(make_grant(), START)),
    )

    rotating = await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    assert rotating.grants == (make_grant(),)
    assert rotating.incoming is not None


async def test_a_writer_that_always_loses_gives_up() -> None:
    stage = Stage()
    await stage.active()
    for number in range(100):
        stage.line.before("write record", functools.partial(_grant, stage, number))

    with pytest.raises(KeyChangedMeanwhileError):
        await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)


async def test_a_rotation_under_way_is_undone_and_its_plaintext_destroyed() -> None:
    stage = Stage()
    first = await stage.active()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    undone = await stage.custody.undo_rotation(ALICE, KEY, REQUEST)

    assert (undone.current, undone.incoming) == (first.current, None)
    assert stage.held_plaintexts() == first.ciphertexts
    assert stage.index.noted == {fingerprint_of(API_KEY): (KEY,)}


async def test_a_finished_rotation_is_undone_and_its_plaintext_destroyed() -> None:
    stage = Stage()
    first = await stage.active()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    await stage.verify()

    undone = await stage.custody.undo_rotation(ALICE, KEY, REQUEST)

    assert undone.current == first.current
    assert undone.retiring is None
    assert stage.held_plaintexts() == first.ciphertexts
    assert stage.index.noted == {fingerprint_of(API_KEY): (KEY,)}


async def test_what_was_brought_back_is_not_destroyed_when_the_overlap_ends() -> None:
    stage = Stage()
    await stage.rotated()
    undone = await stage.custody.undo_rotation(ALICE, KEY, REQUEST)

    await stage.keep_up(seconds=2 * DAY.total_seconds())

    assert stage.stored() == undone
    assert stage.held_plaintexts() == undone.ciphertexts
    assert stage.retirements.entries == {}


async def test_an_undone_rotation_cannot_be_undone_further() -> None:
    stage = Stage()
    await stage.rotated()
    await stage.custody.undo_rotation(ALICE, KEY, REQUEST)

    with pytest.raises(KeyStateConflictError):
        await stage.custody.undo_rotation(ALICE, KEY, REQUEST)


async def test_what_was_off_when_it_was_replaced_is_verified_after_the_undo() -> None:
    stage = Stage()
    await stage.active()
    await stage.custody.disable(ALICE, KEY, REQUEST)
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    await stage.verify()
    await stage.custody.enable(ALICE, KEY, REQUEST)
    await stage.verify()

    undone = await stage.custody.undo_rotation(ALICE, KEY, REQUEST)

    assert (undone.state, undone.current.number) == (KeyState.PENDING, 1)
    assert stage.queued().is_due(START)


async def test_a_second_rotation_destroys_what_the_first_one_kept() -> None:
    stage = Stage()
    await stage.rotated()
    await stage.custody.rotate(ALICE, KEY, THIRD_API_KEY, REQUEST)
    await stage.verify()

    assert [version.number for version in stage.stored().versions] == [3, 2]
    assert stage.held_plaintexts() == stage.stored().ciphertexts
    assert set(stage.index.noted) == {fingerprint_of(k) for k in (OTHER_API_KEY, THIRD_API_KEY)}
