"""One plaintext of a key, sealed, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from keyvault_svc.domain.key_state import VERIFIABLE, KeyEvent, KeyState, state_after


class VerificationOutcome(StrEnum):
    """What a gateway found when it tried a key at OpenAI."""

    VERIFIED = "verified"
    WRONG_KEY = "wrong_key"
    NO_QUOTA = "no_quota"
    NO_PERMISSION = "no_permission"
    OPENAI_UNREACHABLE = "openai_unreachable"


# The others tell of the key's account or of OpenAI, not of the key: they change no state.
_EVENT: Final = {
    VerificationOutcome.VERIFIED: KeyEvent.VERIFIED,
    VerificationOutcome.WRONG_KEY: KeyEvent.REFUSED,
}


@dataclass(frozen=True, slots=True)
class Verification:
    """What the last verification found, and when."""

    outcome: VerificationOutcome
    verify_time: datetime


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A key's plaintext as Vault's transit engine sealed it.

    Attributes:
        ciphertext: Transit ciphertext, `vault:v<n>:<base64>`, bound to the key's name.
        fingerprint: Keyed hash (transit HMAC) of the plaintext, equal for equal plaintexts.
    """

    ciphertext: str = field(repr=False)
    fingerprint: str = field(repr=False)

    @property
    def epoch(self) -> int:
        """Version of the transit key that sealed it."""
        return int(self.ciphertext.split(":", 2)[1].removeprefix("v"))


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One plaintext of a key.

    Attributes:
        number: Its number, from 1.
        sealed: The plaintext, sealed; None once it is destroyed.
        create_time: When the plaintext went in.
        verification: What its last verification found; None before the first has ended.
        overlap: How long the version that this one replaces is kept.
        destroy_time: When it is to be destroyed; None for not by itself.
        openai_key_id: Its id at OpenAI, as the owner told it; empty for not told.
    """

    number: int
    sealed: SealedKey | None
    state: KeyState
    create_time: datetime
    verification: Verification | None = None
    overlap: timedelta = timedelta()
    destroy_time: datetime | None = None
    openai_key_id: str = ""

    @classmethod
    def arriving(
        cls,
        number: int,
        sealed: SealedKey,
        now: datetime,
        overlap: timedelta = timedelta(),
        openai_key_id: str = "",
    ) -> Self:
        """Return a version that has just gone in, and waits for its verification."""
        return cls(
            number, sealed, KeyState.PENDING, now, None, overlap, openai_key_id=openai_key_id
        )

    def after(self, event: KeyEvent) -> KeyVersion:
        """Return the version after *event*.

        Raises:
            KeyStateConflictError: *event* cannot happen to it.
        """
        return replace(self, state=state_after(self.state, event))

    def tried(self, verification: Verification) -> KeyVersion:
        """Return the version after *verification*.

        Raises:
            KeyStateConflictError: It is one that is not verified.
        """
        event = _EVENT.get(verification.outcome)
        tried = self.after(event) if event is not None else self
        return replace(tried, verification=verification)

    @property
    def may_be_tried(self) -> bool:
        """Whether its plaintext is there, and may be tried at OpenAI."""
        return self.sealed is not None and self.state in VERIFIABLE

    @property
    def awaits_verification(self) -> bool:
        """Whether it waits for a verification that tells more than that OpenAI is away."""
        return self.state is KeyState.PENDING and (
            self.verification is None
            or self.verification.outcome is VerificationOutcome.OPENAI_UNREACHABLE
        )

    def holds(self, fingerprint: str) -> bool:
        """Return whether its plaintext is there, and has this fingerprint."""
        return self.sealed is not None and self.sealed.fingerprint == fingerprint
