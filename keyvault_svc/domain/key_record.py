"""The record of one key: everything that is known of it but its plaintext."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from keyvault_svc.domain.errors import KeyStateConflictError
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.grant_list import added, found, replaced, revoked
from keyvault_svc.domain.kept_versions import KeptVersions
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_state import KeyEvent, KeyState
from keyvault_svc.domain.key_version import KeyVersion, SealedKey, Verification
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key.

    Attributes:
        current: The version that serves, or that waits to where there is no other.
        last_number: The highest number that a version had; numbers are not used twice.
        incoming: The version that a rotation under way brings.
        retiring: The version that the last rotation replaced, until its `destroy_time`.
        expire_time: When the owner wants the key to stop serving; None for never.
        base_url: Where at OpenAI the key is used; empty for the deployment's default.
        limits: What may be taken with the key, over all its grants.
        revision: Version of the stored record, for check-and-set; 0 for one not stored yet.
    """

    name: KeyName
    creator: str
    create_time: datetime
    current: KeyVersion
    last_number: int = 1
    incoming: KeyVersion | None = None
    retiring: KeyVersion | None = None
    expire_time: datetime | None = None
    assurance: KeyAssurance = KeyAssurance.STANDARD
    grants: tuple[Grant, ...] = ()
    base_url: str = ""
    limits: Limits = field(default_factory=Limits)
    revision: int = 0

    @classmethod
    def new(
        cls,
        name: KeyName,
        sealed: SealedKey,
        creator: str,
        now: datetime,
        *,
        expire_time: datetime | None = None,
        assurance: KeyAssurance = KeyAssurance.STANDARD,
        base_url: str = "",
    ) -> Self:
        """Return the record of a key that has just gone in."""
        return cls(
            name,
            creator,
            now,
            KeyVersion.arriving(1, sealed, now),
            expire_time=expire_time,
            assurance=assurance,
            base_url=base_url,
        )

    @property
    def state(self) -> KeyState:
        """The current version's state, as stored; see `at`."""
        return self.current.state

    @property
    def versions(self) -> tuple[KeyVersion, ...]:
        """All versions that the record has."""
        there = (self.current, self.incoming, self.retiring)
        return tuple(version for version in there if version is not None)

    @property
    def ciphertexts(self) -> frozenset[str]:
        """Everything sealed that the record holds."""
        return frozenset(v.sealed.ciphertext for v in self.versions if v.sealed is not None)

    @property
    def fingerprints(self) -> frozenset[str]:
        """Fingerprints of all plaintexts that the record holds."""
        return frozenset(v.sealed.fingerprint for v in self.versions if v.sealed is not None)

    @property
    def is_reconcilable(self) -> bool:
        """Whether the id at OpenAI of some version is known."""
        return any(version.openai_key_id for version in self.versions)

    def ends_at(self, policy: KeyPolicy) -> datetime | None:
        """Return when the key stops serving by itself; None for never."""
        by_age = None if policy.max_age is None else self.current.create_time + policy.max_age
        return min((t for t in (self.expire_time, by_age) if t is not None), default=None)

    def rotate_due_time(self, policy: KeyPolicy) -> datetime | None:
        """Return from when on the key is due for rotation; None for never."""
        after = policy.rotate_after
        return None if after is None else self.current.create_time + after

    def at(self, now: datetime, policy: KeyPolicy) -> KeyRecord:
        """Return the record as it stands at *now*: time may be up."""
        end = self.ends_at(policy)
        if end is None or now < end or self.state is KeyState.DELETED:
            return self
        return replace(self, current=self.current.after(KeyEvent.TIME_UP))

    # Rotation and verification: the rules are those of the versions

    def rotating(
        self, sealed: SealedKey, now: datetime, overlap: timedelta, openai_key_id: str = ""
    ) -> KeyRecord:
        """Return the record with a plaintext that serves once it is verified.

        See `KeptVersions.rotating`.

        Raises:
            KeyStateConflictError: The key is being deleted.
        """
        self._must_live()
        return self._keeping(self._kept.rotating(sealed, now, overlap, openai_key_id))

    @property
    def to_verify(self) -> KeyVersion | None:
        """The version that a verification is to try; None when there is none."""
        return self._kept.to_verify

    @property
    def awaits_verification(self) -> bool:
        """Whether a version waits for its verification."""
        return any(version.awaits_verification for version in self.versions)

    def tried(self, number: int, verification: Verification, now: datetime) -> KeyRecord:
        """Return the record after a verification of version *number*; see `KeptVersions.tried`.

        Raises:
            KeyStateConflictError: There is no such version any more, or it is not verified.
        """
        tried = self._keeping(self._kept.tried(number, verification, now))
        is_promoted = tried.current.number != self.current.number
        if is_promoted and self.expire_time is not None and self.expire_time <= now:
            # The owner brought a new plaintext after the time that they had set: it is over.
            return replace(tried, expire_time=None)
        return tried

    def undone(self, now: datetime, number: int = 0) -> KeyRecord:
        """Return the record without the last rotation; see `KeptVersions.undone`.

        Args:
            now: The time.
            number: The version that the rotation brought; 0 for whichever it is.

        Raises:
            KeyStateConflictError: The key is being deleted, or there is no such rotation to undo.
        """
        self._must_live()
        return self._keeping(self._kept.undone(now, number))

    def without_retired(self, now: datetime) -> KeyRecord:
        """Return the record without the retiring version, if its time has come."""
        return self._keeping(self._kept.without_retired(now))

    @property
    def _kept(self) -> KeptVersions:
        return KeptVersions(self.current, self.last_number, self.incoming, self.retiring)

    def _keeping(self, kept: KeptVersions) -> KeyRecord:
        return replace(
            self,
            current=kept.current,
            last_number=kept.last_number,
            incoming=kept.incoming,
            retiring=kept.retiring,
        )

    # What owners decide

    def disabled(self) -> KeyRecord:
        """Return the record switched off."""
        self._must_live()
        return replace(self, current=self.current.after(KeyEvent.DISABLED))

    def enabled(self) -> KeyRecord:
        """Return the record switched on; it waits for its verification then.

        Raises:
            KeyStateConflictError: It is not the switch that keeps it from serving.
        """
        current = self.current.after(KeyEvent.ENABLED)
        if current.state is not self.state:
            current = replace(current, verification=None)
        return replace(self, current=current)

    def expiring(self, expire_time: datetime | None) -> KeyRecord:
        """Return the record with another expiry, which lies in the future.

        Raises:
            KeyStateConflictError: The key is being deleted.
        """
        current = self.current.after(KeyEvent.RENEWED)
        if current.state is not self.state:
            current = replace(current, verification=None)
        return replace(self, current=current, expire_time=expire_time)

    def handed_over(self, assurance: KeyAssurance) -> KeyRecord:
        """Return the record with another assurance.

        Raises:
            KeyStateConflictError: The key is being deleted.
        """
        self._must_live()
        return replace(self, assurance=assurance)

    def moved(self, base_url: str) -> KeyRecord:
        """Return the record for another place at OpenAI, where it waits for its verification.

        Raises:
            KeyStateConflictError: The key is being deleted.
        """
        self._must_live()
        if base_url == self.base_url:
            return self
        current = self.current
        if self.state is not KeyState.DISABLED:
            current = current.after(KeyEvent.DISABLED).after(KeyEvent.ENABLED)
        retiring = self.retiring and replace(self.retiring, verification=None)
        current = replace(current, verification=None)
        return replace(self, base_url=base_url, current=current, retiring=retiring)

    def identified(self, openai_key_id: str) -> KeyRecord:
        """Return the record with another id at OpenAI of its newest version; empty for none.

        Raises:
            KeyStateConflictError: The key is being deleted.
        """
        self._must_live()
        if self.incoming is not None:
            return replace(self, incoming=replace(self.incoming, openai_key_id=openai_key_id))
        return replace(self, current=replace(self.current, openai_key_id=openai_key_id))

    def limited(self, limits: Limits) -> KeyRecord:
        """Return the record with other limits.

        Raises:
            KeyStateConflictError: The key is being deleted.
        """
        self._must_live()
        return replace(self, limits=limits)

    def deleted(self, now: datetime) -> KeyRecord:
        """Return the record without any plaintext or grant: what is left says it shall go."""
        current = replace(self.current.after(KeyEvent.DELETED), sealed=None, destroy_time=now)
        current = replace(current, openai_key_id="")
        return replace(self, current=current, incoming=None, retiring=None, grants=())

    def _must_live(self) -> None:
        if self.state is KeyState.DELETED:
            raise KeyStateConflictError

    # Grants

    def active_grants(self, now: datetime) -> tuple[Grant, ...]:
        """Return the grants that are neither revoked nor expired."""
        return tuple(grant for grant in self.grants if grant.is_active(now))

    def with_grant(self, grant: Grant, now: datetime) -> KeyRecord:
        """Return the record with *grant* added; see `grant_list.added`.

        Raises:
            KeyStateConflictError: The key is being deleted.
        """
        self._must_live()
        return replace(self, grants=added(self.grants, grant, now))

    def with_terms(self, grant: Grant, now: datetime) -> KeyRecord:
        """Return the record with *grant* in place of the one of its id; see `grant_list.replaced`.

        Raises:
            KeyStateConflictError: The key is being deleted.
        """
        self._must_live()
        return replace(self, grants=replaced(self.grants, grant, now))

    def without_consent(self, grant_id: str, now: datetime, revoker: str) -> KeyRecord:
        """Return the record with one grant revoked; see `grant_list.revoked`."""
        return replace(self, grants=revoked(self.grants, grant_id, now, revoker))

    def grant(self, grant_id: str) -> Grant:
        """Return one grant; see `grant_list.found`."""
        return found(self.grants, grant_id)
