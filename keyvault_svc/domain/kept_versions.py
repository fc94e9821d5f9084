"""The versions that one key has at a time, and how a rotation goes through them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keyvault_svc.domain.errors import KeyStateConflictError
from keyvault_svc.domain.key_state import KeyEvent, KeyState
from keyvault_svc.domain.key_version import KeyVersion, SealedKey, Verification


@dataclass(frozen=True, slots=True)
class KeptVersions:
    """The versions of one key; see the attributes of these names of `KeyRecord`."""

    current: KeyVersion
    last_number: int
    incoming: KeyVersion | None
    retiring: KeyVersion | None

    @property
    def to_verify(self) -> KeyVersion | None:
        """The version that a verification is to try; None when there is none.

        One that waits for its verification goes first: one that was tried must not keep it waiting.
        """
        there = [v for v in (self.incoming, self.current) if v is not None and v.may_be_tried]
        return next((v for v in there if v.awaits_verification), there[0] if there else None)

    def rotating(
        self, sealed: SealedKey, now: datetime, overlap: timedelta, openai_key_id: str
    ) -> KeptVersions:
        """Return the versions with one that serves once it is verified.

        It takes the place of an incoming one. Its id at OpenAI is its own: that of the one before
        does not go over.
        """
        number = self.last_number + 1
        version = KeyVersion.arriving(number, sealed, now, overlap, openai_key_id)
        return replace(self, incoming=version, last_number=number)

    def tried(self, number: int, verification: Verification, now: datetime) -> KeptVersions:
        """Return the versions after a verification of version *number*.

        An incoming version that OpenAI accepted becomes the current one. One that OpenAI does not
        know is destroyed, and the current one goes on.

        Raises:
            KeyStateConflictError: There is no such version any more, or it is not verified.
        """
        if self.current.number == number:
            return replace(self, current=self.current.tried(verification))
        if self.incoming is None or self.incoming.number != number:
            raise KeyStateConflictError
        incoming = self.incoming.tried(verification)
        if incoming.state is KeyState.ACTIVE:
            return self._promote(incoming, now)
        if incoming.state is KeyState.REJECTED:
            incoming = replace(incoming, sealed=None)
        return replace(self, incoming=incoming)

    def _promote(self, version: KeyVersion, now: datetime) -> KeptVersions:
        """Return the versions with *version* in the current one's place."""
        replaced = replace(
            self.current.after(KeyEvent.REPLACED), destroy_time=now + version.overlap
        )
        is_kept = replaced.state is KeyState.RETIRING and version.overlap > timedelta()
        if self.current.state is KeyState.DISABLED:
            version = version.after(KeyEvent.DISABLED)  # the owner's switch is the key's
            replaced = replace(replaced, verification=None)  # it may have died meanwhile
        return replace(self, current=version, incoming=None, retiring=replaced if is_kept else None)

    def undone(self, now: datetime, number: int) -> KeptVersions:
        """Return the versions as they were before the last rotation.

        A version that was switched off when it was replaced waits for a verification first, as it
        does when it is switched on.

        Args:
            now: The time.
            number: The version that the rotation brought; 0 for whichever it is. Where it is there
                no longer, nothing changes: its rotation was taken back before.

        Raises:
            KeyStateConflictError: No rotation is under way, and no version before is kept; or
                *number* is not what the last rotation brought.
        """
        newest = self.incoming or self.current
        if number and number != newest.number:
            there = (self.current, self.incoming, self.retiring)
            is_there = any(v is not None and v.number == number for v in there)
            if number <= self.last_number and not is_there:
                return self
            raise KeyStateConflictError
        if self.incoming is not None:
            return replace(self, incoming=None)
        retiring = self.retiring
        if retiring is None or (retiring.destroy_time is not None and retiring.destroy_time <= now):
            raise KeyStateConflictError
        restored = replace(retiring.after(KeyEvent.RESTORED), destroy_time=None)
        if self.current.state is KeyState.DISABLED:
            restored = restored.after(KeyEvent.DISABLED)
        elif restored.verification is None:
            restored = restored.after(KeyEvent.DISABLED).after(KeyEvent.ENABLED)
        return replace(self, current=restored, retiring=None)

    def without_retired(self, now: datetime) -> KeptVersions:
        """Return the versions without the retiring one, if its time has come."""
        retiring = self.retiring
        if retiring is None or retiring.destroy_time is None or now < retiring.destroy_time:
            return self
        return replace(self, retiring=None)
