"""Vault goes away at each request of a call in turn; the call is repeated, and upkeep runs."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import VerificationOutcome
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.unit.keyvault_svc.custody_stage import (
    ALICE,
    API_KEY,
    GATEWAY,
    OTHER_API_KEY,
    REQUEST,
    THIRD_API_KEY,
    VERIFIED,
    WRONG_KEY,
    Stage,
)
from tests.unit.keyvault_svc.samples import KEY, make_grant

NO_OVERLAP = timedelta()
UNREACHABLE = VerificationOutcome.OPENAI_UNREACHABLE
MAX_REQUESTS = 60  # more than any call takes


@dataclass
class _Scene:
    """A call, what is there before it, and what has to be there in the end.

    Attributes:
        call: The call; it gets the lease of the claim under way.
        setup: What goes before.
        end: State and number of the current version; None for a key that has gone.
        is_report: Whether a verification is claimed before the call.
        pause: Seconds until the call is repeated.
    """

    call: Callable[[Stage, str], Awaitable[object]]
    setup: Callable[[Stage], Awaitable[object]]
    end: tuple[KeyState, int] | None
    is_report: bool = False
    pause: int = 0


async def _nothing(stage: Stage) -> None:
    del stage


async def _active(stage: Stage) -> None:
    await stage.active()
    stage.store.put(stage.stored().with_grant(make_grant(), stage.clock.now()))


async def _rotating(stage: Stage) -> None:
    await _active(stage)
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)


async def _rotated(stage: Stage) -> None:
    await _rotating(stage)
    await stage.verify()


async def _replacing(stage: Stage) -> None:
    await _rotated(stage)
    await stage.custody.rotate(ALICE, KEY, THIRD_API_KEY, REQUEST, overlap=NO_OVERLAP)


async def _created(stage: Stage) -> None:
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)


async def _overlap_ended(stage: Stage) -> None:
    await _rotated(stage)
    stage.clock.advance(86_400)


async def _half_deleted(stage: Stage) -> None:
    await _rotated(stage)
    stage.line.before("destroy versions", lambda: stage.line.break_at(1))
    with contextlib.suppress(VaultUnavailableError):
        await stage.custody.delete(ALICE, KEY, REQUEST)
    stage.line.mend()
    stage.clock.advance(61)


async def _off(stage: Stage) -> None:
    await _active(stage)
    await stage.custody.disable(ALICE, KEY, REQUEST)


def _report(outcome: VerificationOutcome) -> Callable[[Stage, str], Awaitable[object]]:
    async def call(stage: Stage, lease_id: str) -> None:
        await stage.verifying.report(KEY, lease_id, outcome, REQUEST)

    return call


PENDING, ACTIVE, REJECTED = KeyState.PENDING, KeyState.ACTIVE, KeyState.REJECTED
SCENES = {
    "create": _Scene(
        lambda s, _: s.custody.create(ALICE, KEY, API_KEY, REQUEST), _nothing, (PENDING, 1)
    ),
    "create in a deleted key's place": _Scene(
        lambda s, _: s.custody.create(ALICE, KEY, API_KEY, REQUEST),
        _half_deleted,
        (PENDING, 1),
        pause=61,
    ),
    "rotate": _Scene(
        lambda s, _: s.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST), _active, (ACTIVE, 1)
    ),
    "rotate once more": _Scene(
        lambda s, _: s.custody.rotate(ALICE, KEY, THIRD_API_KEY, REQUEST), _rotating, (ACTIVE, 1)
    ),
    "rotate what waits": _Scene(
        lambda s, _: s.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST),
        _created,
        (PENDING, 1),
    ),
    "undo what waits": _Scene(
        lambda s, _: s.custody.undo_rotation(ALICE, KEY, REQUEST), _rotating, (ACTIVE, 1)
    ),
    "undo": _Scene(
        lambda s, _: s.custody.undo_rotation(ALICE, KEY, REQUEST), _rotated, (ACTIVE, 1)
    ),
    "enable": _Scene(lambda s, _: s.custody.enable(ALICE, KEY, REQUEST), _off, (PENDING, 1)),
    "disable": _Scene(
        lambda s, _: s.custody.disable(ALICE, KEY, REQUEST), _rotating, (KeyState.DISABLED, 1)
    ),
    "delete": _Scene(lambda s, _: s.custody.delete(ALICE, KEY, REQUEST), _rotated, None),
    "delete what waits": _Scene(
        lambda s, _: s.custody.delete(ALICE, KEY, REQUEST), _rotating, None
    ),
    "claim": _Scene(lambda s, _: s.verifying.claim(GATEWAY, REQUEST), _rotating, (ACTIVE, 1)),
    "report verified": _Scene(_report(VERIFIED), _rotating, (ACTIVE, 2), is_report=True),
    "report verified without an overlap": _Scene(
        _report(VERIFIED), _replacing, (ACTIVE, 3), is_report=True
    ),
    "report wrong": _Scene(_report(WRONG_KEY), _rotating, (ACTIVE, 1), is_report=True),
    "report the first wrong": _Scene(_report(WRONG_KEY), _created, (REJECTED, 1), is_report=True),
    "report unreachable": _Scene(_report(UNREACHABLE), _created, (PENDING, 1), is_report=True),
    "upkeep": _Scene(lambda s, _: s.upkeep.run(REQUEST), _overlap_ended, (ACTIVE, 2)),
}


async def _play(
    scene: _Scene, number: int, *, is_answer_lost: bool, is_repeated: bool
) -> tuple[Stage, bool]:
    """Play *scene* with Vault going away at request *number*; return whether it got there."""
    stage = Stage()
    await scene.setup(stage)
    lease_id = (await stage.claim()).lease_id if scene.is_report else ""
    stage.line.break_at(number, is_answer_lost=is_answer_lost)
    with contextlib.suppress(VaultUnavailableError):
        await scene.call(stage, lease_id)
    is_reached = stage.line.is_broken
    _check_at_any_time(stage)
    stage.line.mend()
    if is_repeated:
        stage.clock.advance(scene.pause)
        # It may have been done but for its answer. Then it is refused: gone, there, not under way.
        with contextlib.suppress(ServiceError):
            await scene.call(stage, lease_id)
    return stage, is_reached


def _check_at_any_time(stage: Stage) -> None:
    """Check what has to hold even while Vault is away."""
    record = stage.store.current(KEY)
    if record is None:
        return
    places = (record.incoming, record.retiring)
    assert not any(v.state is ACTIVE for v in places if v is not None)
    # What is to be destroyed is known to the queue before anything depends on it.
    if stage.held_plaintexts() - record.ciphertexts:
        assert KEY in stage.retirements.entries.values()


async def _check_in_the_end(stage: Stage) -> None:
    """Do the upkeep for a while, and check that nothing is held, noted or queued in vain."""
    for _ in range(3):
        await stage.keep_up(seconds=61)
    _check_at_any_time(stage)
    record = stage.store.current(KEY)
    if record is None:
        assert await stage.store.list_ids(KEY.owner, REQUEST) == []
        assert stage.held_plaintexts() == set()
        return
    assert stage.held_plaintexts() == record.ciphertexts
    noted = {fingerprint for fingerprint, names in stage.index.noted.items() if KEY in names}
    assert noted >= record.fingerprints  # one that the key holds no longer counts for nothing


@pytest.mark.parametrize("is_answer_lost", [False, True], ids=["not done", "answer lost"])
@pytest.mark.parametrize("name", SCENES)
async def test_a_call_that_vault_leaves_halfway_is_made_whole_by_another(
    name: str, *, is_answer_lost: bool
) -> None:
    scene = SCENES[name]

    reached = 0
    for number in range(1, MAX_REQUESTS):
        stage, is_reached = await _play(
            scene, number, is_answer_lost=is_answer_lost, is_repeated=True
        )
        await _check_in_the_end(stage)
        record = stage.store.current(KEY)
        assert (record and (record.state, record.current.number)) == scene.end
        if record is not None and record.awaits_verification:
            assert KEY in stage.verifications.entries
        if not is_reached:
            break
        reached = number

    assert 1 <= reached < MAX_REQUESTS - 1


@pytest.mark.parametrize("is_answer_lost", [False, True], ids=["not done", "answer lost"])
@pytest.mark.parametrize("name", SCENES)
async def test_a_destruction_that_nobody_repeats_is_finished_by_upkeep(
    name: str, *, is_answer_lost: bool
) -> None:
    for number in range(1, MAX_REQUESTS):
        stage, is_reached = await _play(
            SCENES[name], number, is_answer_lost=is_answer_lost, is_repeated=False
        )
        await _check_in_the_end(stage)
        record = stage.store.current(KEY)
        assert record is None or record.state is not KeyState.DELETED
        if not is_reached:
            return
    pytest.fail("the call does not end")
