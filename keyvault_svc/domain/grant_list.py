"""The grants of one key, the oldest first."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from keyvault_svc.domain.errors import GrantExistsError, GrantNotFoundError, TooManyGrantsError
from keyvault_svc.domain.grant import Grant

MAX_GRANTS: Final = 200  # per key
# Of the terms of all grants of a key together. With what is recorded beside the terms, and with
# every grant revoked, a record stays below half of Vault's entry limit of 1 MiB: to revoke can
# never fail for want of room.
MAX_TERMS_CHARACTERS: Final = 128 * 1024

Grants = tuple[Grant, ...]


def added(grants: Grants, grant: Grant, now: datetime) -> Grants:
    """Return *grants* with *grant* added; the oldest that have ended make room for it.

    Raises:
        GrantExistsError: The app holds an active grant.
        TooManyGrantsError: Every one of `MAX_GRANTS` is active, or the terms of the active ones
            have more than `MAX_TERMS_CHARACTERS`.
    """
    active = [other for other in grants if other.is_active(now)]
    if any(other.terms.app == grant.terms.app for other in active):
        raise GrantExistsError
    return _fitting((*grants, grant), now)


def replaced(grants: Grants, grant: Grant, now: datetime) -> Grants:
    """Return *grants* with *grant* in place of the one with its id.

    Raises:
        GrantNotFoundError: There is none with its id.
        TooManyGrantsError: The terms of the active ones have more than `MAX_TERMS_CHARACTERS` then.
    """
    found(grants, grant.grant_id)
    return _fitting(
        tuple(grant if other.grant_id == grant.grant_id else other for other in grants), now
    )


def revoked(grants: Grants, grant_id: str, now: datetime, revoker: str) -> Grants:
    """Return *grants* with one of them revoked.

    Raises:
        GrantNotFoundError: There is no such grant.
    """
    found(grants, grant_id)
    return tuple(
        grant.revoked(now, revoker) if grant.grant_id == grant_id else grant for grant in grants
    )


def found(grants: Grants, grant_id: str) -> Grant:
    """Return one of *grants*.

    Raises:
        GrantNotFoundError: There is no such grant.
    """
    for grant in grants:
        if grant.grant_id == grant_id:
            return grant
    raise GrantNotFoundError


def _fitting(grants: Grants, now: datetime) -> Grants:
    """Return *grants* without the oldest ended ones, as far as there is no room for them."""
    kept = list(grants)
    while len(kept) > MAX_GRANTS or sum(grant.terms.size for grant in kept) > MAX_TERMS_CHARACTERS:
        ended = next((grant for grant in kept if not grant.is_active(now)), None)
        if ended is None:
            raise TooManyGrantsError
        kept.remove(ended)
    return tuple(kept)
