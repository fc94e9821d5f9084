"""What a version of a key may do, and what may happen to it: one table, closed both ways."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from keyvault_svc.domain.errors import KeyStateConflictError


class KeyState(StrEnum):
    """What a version of a key may do. A key's own state is that of its current version."""

    PENDING = "pending"  # waits for its verification at OpenAI
    ACTIVE = "active"  # serves
    RETIRING = "retiring"  # was replaced, and is kept so that the rotation can be undone
    DISABLED = "disabled"  # switched off by its owner
    REJECTED = "rejected"  # OpenAI refused it
    EXPIRED = "expired"  # its time is up
    DELETED = "deleted"  # destroyed, or about to be


class KeyEvent(StrEnum):
    """What may happen to a version of a key."""

    VERIFIED = "verified"  # OpenAI accepted it
    REFUSED = "refused"  # OpenAI does not know it
    REPLACED = "replaced"  # a newer version serves now
    RESTORED = "restored"  # the rotation that replaced it was undone
    DISABLED = "disabled"  # the owner switched the key off
    ENABLED = "enabled"  # the owner switched the key on
    TIME_UP = "time_up"  # its expiry has come
    RENEWED = "renewed"  # its expiry was moved into the future
    DELETED = "deleted"  # the owner deleted the key, or the version is kept no longer


# What does not stand here is refused: a test holds every other pair to that, one by one.
TRANSITIONS: Final[Mapping[KeyState, Mapping[KeyEvent, KeyState]]] = {
    KeyState.PENDING: {
        KeyEvent.VERIFIED: KeyState.ACTIVE,
        KeyEvent.REFUSED: KeyState.REJECTED,
        # A plaintext that never served is of no use to go back to.
        KeyEvent.REPLACED: KeyState.DELETED,
        KeyEvent.DISABLED: KeyState.DISABLED,
        KeyEvent.ENABLED: KeyState.PENDING,
        KeyEvent.TIME_UP: KeyState.EXPIRED,
        KeyEvent.RENEWED: KeyState.PENDING,
        KeyEvent.DELETED: KeyState.DELETED,
    },
    KeyState.ACTIVE: {
        KeyEvent.VERIFIED: KeyState.ACTIVE,
        KeyEvent.REFUSED: KeyState.REJECTED,
        KeyEvent.REPLACED: KeyState.RETIRING,
        KeyEvent.DISABLED: KeyState.DISABLED,
        KeyEvent.ENABLED: KeyState.ACTIVE,
        KeyEvent.TIME_UP: KeyState.EXPIRED,
        KeyEvent.RENEWED: KeyState.ACTIVE,
        KeyEvent.DELETED: KeyState.DELETED,
    },
    KeyState.RETIRING: {
        KeyEvent.REPLACED: KeyState.DELETED,  # one step back is kept, not two
        KeyEvent.RESTORED: KeyState.ACTIVE,
        KeyEvent.DELETED: KeyState.DELETED,
    },
    KeyState.DISABLED: {
        # What was switched off stays off until its owner says otherwise, whatever OpenAI says.
        KeyEvent.VERIFIED: KeyState.DISABLED,
        KeyEvent.REFUSED: KeyState.DISABLED,
        KeyEvent.REPLACED: KeyState.RETIRING,
        KeyEvent.DISABLED: KeyState.DISABLED,
        KeyEvent.ENABLED: KeyState.PENDING,
        KeyEvent.TIME_UP: KeyState.DISABLED,
        KeyEvent.RENEWED: KeyState.DISABLED,
        KeyEvent.DELETED: KeyState.DELETED,
    },
    KeyState.REJECTED: {
        KeyEvent.VERIFIED: KeyState.ACTIVE,
        KeyEvent.REFUSED: KeyState.REJECTED,
        KeyEvent.REPLACED: KeyState.DELETED,
        KeyEvent.DISABLED: KeyState.DISABLED,
        KeyEvent.TIME_UP: KeyState.REJECTED,
        KeyEvent.RENEWED: KeyState.REJECTED,
        KeyEvent.DELETED: KeyState.DELETED,
    },
    KeyState.EXPIRED: {
        KeyEvent.VERIFIED: KeyState.EXPIRED,
        KeyEvent.REFUSED: KeyState.REJECTED,
        KeyEvent.REPLACED: KeyState.DELETED,
        KeyEvent.DISABLED: KeyState.DISABLED,
        KeyEvent.TIME_UP: KeyState.EXPIRED,
        KeyEvent.RENEWED: KeyState.PENDING,  # it may have died at OpenAI meanwhile
        KeyEvent.DELETED: KeyState.DELETED,
    },
    KeyState.DELETED: {
        KeyEvent.DELETED: KeyState.DELETED,
    },
}

# States whose version may be tried at OpenAI. The others shall not be decrypted at all.
VERIFIABLE: Final = frozenset({KeyState.PENDING, KeyState.ACTIVE, KeyState.REJECTED})


def state_after(state: KeyState, event: KeyEvent) -> KeyState:
    """Return the state of a version in *state* after *event*.

    Raises:
        KeyStateConflictError: *event* cannot happen to a version in *state*.
    """
    after = TRANSITIONS[state].get(event)
    if after is None:
        raise KeyStateConflictError
    return after
