"""The record of one key: everything that is known of it but its plaintext."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from keyvault_svc.domain.errors import (
    GrantExistsError,
    GrantNotFoundError,
    TooManyGrantsError,
)
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.names import KeyName

MAX_GRANTS: Final = 200  # per key
# Of the terms of all grants of a key together. With what is recorded beside the terms, and with
# every grant revoked, a record stays below half of Vault's entry limit of 1 MiB: to revoke can
# never fail for want of room.
MAX_TERMS_CHARACTERS: Final = 128 * 1024


class KeyState(StrEnum):
    """What a key may do."""

    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A key's plaintext as Vault's transit engine sealed it.

    Attributes:
        ciphertext: Transit ciphertext, `vault:v<n>:<base64>`, bound to the key's name.
        fingerprint: Keyed hash (transit HMAC) of the plaintext, equal for equal plaintexts.
    """

    ciphertext: str = field(repr=False)
    fingerprint: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key.

    Attributes:
        revision: Version of the stored record, for check-and-set; 0 for one not stored yet.
        key_version: Counts the plaintexts that the record has held, from 1.
    """

    name: KeyName
    state: KeyState
    sealed: SealedKey
    key_version: int
    create_time: datetime
    rotate_time: datetime
    creator: str
    grants: tuple[Grant, ...] = ()
    revision: int = 0

    def rotated(self, sealed: SealedKey, now: datetime) -> KeyRecord:
        """Return the record with a new plaintext in place of the current one."""
        return replace(self, sealed=sealed, key_version=self.key_version + 1, rotate_time=now)

    def active_grants(self, now: datetime) -> tuple[Grant, ...]:
        """Return the grants that are neither revoked nor expired."""
        return tuple(grant for grant in self.grants if grant.is_active(now))

    def with_grant(self, grant: Grant, now: datetime) -> KeyRecord:
        """Return the record with *grant* added.

        Raises:
            GrantExistsError: The app holds an active grant.
            TooManyGrantsError: Every one of `MAX_GRANTS` is active, or the terms of the active
                ones have more than `MAX_TERMS_CHARACTERS`.
        """
        active = self.active_grants(now)
        if any(other.terms.app == grant.terms.app for other in active):
            raise GrantExistsError
        if len(active) >= MAX_GRANTS:
            raise TooManyGrantsError
        kept = list(self.grants)
        room = MAX_TERMS_CHARACTERS - grant.terms.size
        while len(kept) >= MAX_GRANTS or sum(old.terms.size for old in kept) > room:
            ended = next((old for old in kept if not old.is_active(now)), None)
            if ended is None:
                raise TooManyGrantsError
            kept.remove(ended)
        return replace(self, grants=(*kept, grant))

    def without_consent(self, grant_id: str, now: datetime, revoker: str) -> KeyRecord:
        """Return the record with one grant revoked.

        Raises:
            GrantNotFoundError: There is no such grant.
        """
        self.grant(grant_id)
        return replace(
            self,
            grants=tuple(
                grant.revoked(now, revoker) if grant.grant_id == grant_id else grant
                for grant in self.grants
            ),
        )

    def grant(self, grant_id: str) -> Grant:
        """Return one grant.

        Raises:
            GrantNotFoundError: There is no such grant.
        """
        for grant in self.grants:
            if grant.grant_id == grant_id:
                return grant
        raise GrantNotFoundError
