from __future__ import annotations

import itertools

import pytest

from keyvault_svc.domain.errors import KeyStateConflictError
from keyvault_svc.domain.key_state import TRANSITIONS, VERIFIABLE, KeyEvent, KeyState, state_after

# The whole table once more, by hand: states down, events across, `-` for what is refused.
TABLE = """
-        verified refused  replaced restored disabled enabled  time_up  renewed  deleted
pending  active   rejected deleted  -        disabled pending  expired  pending  deleted
active   active   rejected retiring -        disabled active   expired  active   deleted
retiring -        -        deleted  active   -        -        -        -        deleted
disabled disabled disabled retiring -        disabled pending  disabled disabled deleted
rejected active   rejected deleted  -        disabled -        rejected rejected deleted
expired  expired  rejected deleted  -        disabled -        expired  pending  deleted
deleted  -        -        -        -        -        -        -        -        deleted
"""
(_, *EVENTS), *ROWS = (line.split() for line in TABLE.strip().splitlines())
CELLS = [
    (KeyState(state), KeyEvent(event), None if after == "-" else KeyState(after))
    for state, *row in ROWS
    for event, after in zip(EVENTS, row, strict=True)
]


@pytest.mark.parametrize(("state", "event", "after"), CELLS, ids=str)
def test_an_event_leads_where_the_table_says_or_is_refused(
    state: KeyState, event: KeyEvent, after: KeyState | None
) -> None:
    if after is not None:
        assert state_after(state, event) is after
        return
    with pytest.raises(KeyStateConflictError):
        state_after(state, event)


def test_the_table_has_each_pair_of_a_state_and_an_event_once() -> None:
    pairs = [(state, event) for state, event, _ in CELLS]

    assert len(pairs) == 7 * 9
    assert set(pairs) == set(itertools.product(KeyState, KeyEvent))
    assert set(TRANSITIONS) == set(KeyState)


def test_what_is_deleted_stays_deleted() -> None:
    assert set(TRANSITIONS[KeyState.DELETED].values()) == {KeyState.DELETED}


def test_whatever_is_there_can_be_deleted() -> None:
    assert {state_after(state, KeyEvent.DELETED) for state in KeyState} == {KeyState.DELETED}


def test_every_state_can_come_about() -> None:
    reached = {KeyState.PENDING}
    while more := {a for state in reached for a in TRANSITIONS[state].values()} - reached:
        reached |= more

    assert reached == set(KeyState)


def test_only_openai_or_an_undone_rotation_makes_a_version_serve() -> None:
    into_service = {
        (state, event)
        for state, event, after in CELLS
        if after is KeyState.ACTIVE and state is not KeyState.ACTIVE
    }

    assert {event for _, event in into_service} == {KeyEvent.VERIFIED, KeyEvent.RESTORED}
    assert {event for state, event, after in CELLS if state is after is KeyState.ACTIVE} == {
        KeyEvent.VERIFIED,
        KeyEvent.ENABLED,
        KeyEvent.RENEWED,
    }


def test_what_its_owner_switched_off_comes_on_by_its_owner_alone() -> None:
    out = {event for event, after in TRANSITIONS[KeyState.DISABLED].items() if after != "disabled"}

    assert out == {KeyEvent.ENABLED, KeyEvent.REPLACED, KeyEvent.DELETED}


def test_a_version_is_tried_only_where_openais_answer_can_change_what_it_may_do() -> None:
    assert {
        state for state in KeyState if TRANSITIONS[state].get(KeyEvent.VERIFIED) is KeyState.ACTIVE
    } == VERIFIABLE
