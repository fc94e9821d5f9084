"""Whatever happens to a key, in whatever order: some things hold after each step."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from keyvault_svc.domain.key_change import KeyChange
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import VerificationOutcome
from keyvault_svc.domain.lease import Lease
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.unit.keyvault_svc.custody_stage import (
    ALICE,
    API_KEY,
    GATEWAY,
    OTHER_API_KEY,
    REQUEST,
    TAGS,
    THIRD_API_KEY,
    Stage,
)
from tests.unit.keyvault_svc.samples import KEY

API_KEYS = (API_KEY, OTHER_API_KEY, THIRD_API_KEY)
POLICY = KeyPolicy(max_age=timedelta(days=3), overlap=timedelta(seconds=90))


class _World:
    """A key, and what is known of its life so far."""

    def __init__(self) -> None:
        self.stage = Stage(policy=POLICY)
        self.leases: list[Lease] = []
        self.seen: KeyRecord | None = None
        self.gone: set[int] = set()
        self.served: set[int] = set()  # active when they were replaced
        self.is_whole = True  # no call was left halfway

    async def rotate(self, api_key: SecretBytes, overlap: timedelta | None) -> None:
        await self.stage.custody.rotate(ALICE, KEY, api_key, REQUEST, overlap=overlap)

    async def claim(self) -> None:
        lease = await self.stage.verifying.claim(GATEWAY, REQUEST)
        if lease is not None:
            self.leases.append(lease)

    async def report(self, outcome: VerificationOutcome, which: int) -> None:
        if self.leases:
            lease = self.leases.pop(which % len(self.leases))
            await self.stage.verifying.report(KEY, lease.lease_id, outcome, REQUEST)

    async def try_out(self, outcome: VerificationOutcome) -> None:
        await self.claim()
        await self.report(outcome, -1)

    async def renew(self, seconds: int | None) -> None:
        after = None if seconds is None else timedelta(seconds=seconds)
        time = None if after is None else self.stage.clock.now() + after
        await self.stage.custody.update(ALICE, KEY, KeyChange(time, sets_expire_time=True), REQUEST)

    async def pass_time(self, seconds: int) -> None:
        self.stage.clock.advance(seconds)

    async def do(self, step: _Step, breaks_at: int | None) -> None:
        """Do one step; with *breaks_at*, Vault goes away at that request of it."""
        name, act = step
        if breaks_at is not None:
            self.stage.line.break_at(breaks_at)
        try:
            await act(self)
        except VaultUnavailableError:
            self.is_whole = False
        except ServiceError:
            pass
        self.stage.line.mend()
        self.check(name)

    def check(self, step: str) -> None:
        record = self.stage.store.current(KEY)
        self._check_history(step, record)
        if record is not None:
            self._check_places(record)
        self._check_leftovers(record)
        self.seen = record

    def _check_places(self, record: KeyRecord) -> None:
        incoming, retiring = record.incoming, record.retiring
        assert record.state is not KeyState.RETIRING
        assert incoming is None or incoming.state in {KeyState.PENDING, KeyState.REJECTED}
        assert retiring is None or retiring.state is KeyState.RETIRING
        numbers = [version.number for version in record.versions]
        assert len(set(numbers)) == len(numbers)
        assert max(numbers) <= record.last_number
        assert record.state is KeyState.DELETED or record.current.sealed is not None
        if retiring is not None:
            assert retiring.destroy_time is not None
            due = int(retiring.destroy_time.timestamp())
            assert due in self.stage.retirements.due_seconds(KEY)

    def _check_history(self, step: str, record: KeyRecord | None) -> None:
        before = {} if self.seen is None else {v.number: v for v in self.seen.versions}
        after = {} if record is None else {v.number: v for v in record.versions}
        if self.seen is None or record is None:
            self.gone, self.served = set(), set()  # in a deleted key's place it counts from 1
        if step == "create" and record is not None and record.revision == 1:
            before, self.gone, self.served = {}, set(), set()
        assert not self.gone & set(after)
        if record is not None:
            self.gone |= set(before) - set(after)
        for number, version in after.items():
            was = before[number].state if number in before else None
            if version.state is KeyState.RETIRING and was is KeyState.ACTIVE:
                self.served.add(number)
            if was is KeyState.DISABLED and version.state not in {was, KeyState.RETIRING}:
                assert step in {"enable", "delete"}  # the owner's switch, and nobody else's
            if version.state is not KeyState.ACTIVE or was is KeyState.ACTIVE:
                continue
            # What begins to serve was verified, or served before and was brought back.
            is_brought_back = was is KeyState.RETIRING and number in self.served
            assert step == ("undo" if is_brought_back else "verified")

    def _check_leftovers(self, record: KeyRecord | None) -> None:
        stage = self.stage
        held = record.ciphertexts if record is not None else frozenset()
        noted = {f for f, names in stage.index.noted.items() if KEY in names}
        assert noted >= (record.fingerprints if record is not None else frozenset())
        if stage.held_plaintexts() - held:
            assert not self.is_whole
            assert KEY in stage.retirements.entries.values()
        now = stage.clock.now()
        if record is not None and record.at(now, POLICY).awaits_verification:
            assert KEY in stage.verifications.entries or not self.is_whole

    async def settle_down(self) -> None:
        """Let upkeep and gateways do what is left, with Vault there."""
        for _ in range(6):
            await self.stage.keep_up(seconds=61)
            await self.claim()
        record = self.stage.store.current(KEY)
        assert self.stage.held_plaintexts() == (record.ciphertexts if record else set())
        assert record is None or record.state is not KeyState.DELETED
        assert record is not None or not await self.stage.store.list_ids(KEY.owner, REQUEST)


_Step = tuple[str, Callable[[_World], Awaitable[object]]]


def _rotation(api_key: SecretBytes, overlap: int | None) -> _Step:
    kept = None if overlap is None else timedelta(seconds=overlap)
    return ("rotate", lambda w: w.rotate(api_key, kept))


def _report(outcome: VerificationOutcome, which: int) -> _Step:
    return (outcome.value, lambda w: w.report(outcome, which))


def _trial(outcome: VerificationOutcome) -> _Step:
    return (outcome.value, lambda w: w.try_out(outcome))


CREATE: _Step = ("create", lambda w: w.stage.custody.create(ALICE, KEY, API_KEY, REQUEST))
CLAIM: _Step = ("claim", _World.claim)
UNDO: _Step = ("undo", lambda w: w.stage.custody.undo_rotation(ALICE, KEY, REQUEST))
DISABLE: _Step = ("disable", lambda w: w.stage.custody.disable(ALICE, KEY, REQUEST))
ENABLE: _Step = ("enable", lambda w: w.stage.custody.enable(ALICE, KEY, REQUEST))
# The few with which an owner and OpenAI decide whether a key serves.
DECISIONS: st.SearchStrategy[_Step] = st.sampled_from(
    [
        CLAIM,
        _trial(VerificationOutcome.VERIFIED),
        _trial(VerificationOutcome.WRONG_KEY),
        _report(VerificationOutcome.WRONG_KEY, -1),
        _rotation(OTHER_API_KEY, None),
        UNDO,
        DISABLE,
        ENABLE,
        ("verify", lambda w: w.stage.custody.verify(ALICE, KEY, REQUEST)),
    ]
)
STEPS: st.SearchStrategy[_Step] = st.one_of(
    st.just(CLAIM),
    st.just(_trial(VerificationOutcome.VERIFIED)),
    st.builds(_trial, st.sampled_from(VerificationOutcome)),
    st.builds(_report, st.sampled_from(VerificationOutcome), st.integers(0, 2)),
    st.builds(_rotation, st.sampled_from(API_KEYS), st.sampled_from([None, 0, 30])),
    st.sampled_from(
        [
            CREATE,
            UNDO,
            DISABLE,
            ENABLE,
            ("verify", lambda w: w.stage.custody.verify(ALICE, KEY, REQUEST)),
            ("recheck", lambda w: w.stage.verifying.recheck(KEY, TAGS)),
            ("delete", lambda w: w.stage.custody.delete(ALICE, KEY, REQUEST)),
            ("upkeep", lambda w: w.stage.upkeep.run(REQUEST)),
        ]
    ),
    st.sampled_from([None, 40, 200_000]).map(lambda s: ("renew", lambda w: w.renew(s))),
    st.sampled_from([1, 61, 90_000, 200_000]).map(lambda s: ("time", lambda w: w.pass_time(s))),
)
DECIDED = st.tuples(DECISIONS, st.none())
WHOLE = st.tuples(STEPS, st.none())
BROKEN = st.tuples(STEPS, st.none() | st.integers(1, 12))


async def _live(steps: list[tuple[_Step, int | None]]) -> None:
    world = _World()
    for step in (CREATE, _trial(VerificationOutcome.VERIFIED)):
        await world.do(step, None)
    for step, breaks_at in steps:
        await world.do(step, breaks_at)
    with contextlib.suppress(ServiceError):
        await world.stage.custody.verify(ALICE, KEY, REQUEST)
    await world.settle_down()


@settings(max_examples=300, deadline=None)
@given(st.lists(DECIDED, min_size=20, max_size=30))
def test_whatever_owner_and_openai_decide_both_must_agree_that_a_key_serves(
    steps: list[tuple[_Step, int | None]],
) -> None:
    asyncio.run(_live(steps))


@settings(max_examples=150, deadline=None)
@given(st.lists(WHOLE, max_size=25))
def test_whatever_is_done_to_a_key_it_serves_when_it_may_and_leaves_nothing(
    steps: list[tuple[_Step, int | None]],
) -> None:
    asyncio.run(_live(steps))


@settings(max_examples=150, deadline=None)
@given(st.lists(BROKEN, max_size=25))
def test_whenever_vault_goes_away_nothing_is_lost_and_nothing_left_for_good(
    steps: list[tuple[_Step, int | None]],
) -> None:
    asyncio.run(_live(steps))
