"""Whose limits are whose: a limit of the store, and the resource that has it."""

from __future__ import annotations

from collections.abc import Iterator

from keyvault_svc.domain.limits import LimitRef, Limits, LimitScope
from keyvault_svc.domain.names import GrantName, KeyName, OwnerName

LimitedName = GrantName | KeyName | OwnerName


def limit_refs(name: LimitedName, limits: Limits) -> Iterator[LimitRef]:
    """Yield each of *limits*, which *name* has, in the order of checks."""
    scope, subject = _place_of(name)
    for kind, limit in limits.given():
        yield LimitRef(scope, subject, kind, limit)


def limited_name(owner: OwnerName, ref: LimitRef) -> LimitedName:
    """Return the name of what has the limit *ref*, of all that is *owner*'s."""
    if ref.scope is LimitScope.OWNER:
        return owner
    key_id, _, grant_id = ref.subject.partition("/")
    key = KeyName(owner, key_id)
    return GrantName(key, grant_id) if ref.scope is LimitScope.GRANT else key


def _place_of(name: LimitedName) -> tuple[LimitScope, str]:
    if isinstance(name, GrantName):
        return LimitScope.GRANT, f"{name.key.key_id}/{name.grant_id}"
    if isinstance(name, KeyName):
        return LimitScope.KEY, name.key_id
    return LimitScope.OWNER, ""
