"""Resource names: the only way from a caller's text to something a path is built from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from svc_runtime.service_error import InvalidFieldError

# A strict allow-list: no `/`, no `%`, no upper case that a file system or a proxy could fold, and
# no dot at either end, so `.` and `..` cannot be written.
_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_RANDOM_ID: Final = re.compile(r"[0-9a-f]{16}")

_ID_RULE: Final = (
    "each id must be 1 to 63 characters of a-z, 0-9, '-', '_' and '.', "
    "and start and end with a letter or digit"
)
OWNER_RULE: Final = f"must be users/<id> or teams/<id>; {_ID_RULE}"
KEY_RULE: Final = f"must be users/<id>/keys/<id> or teams/<id>/keys/<id>; {_ID_RULE}"


class OwnerKind(StrEnum):
    """Who can own a key."""

    USER = "users"
    TEAM = "teams"


@dataclass(frozen=True, slots=True, order=True)
class OwnerName:
    """A user or a team: `users/alice`, `teams/payments`."""

    kind: OwnerKind
    owner_id: str

    @classmethod
    def parse(cls, unverified: str, field: str) -> Self:
        """Parse *unverified*.

        Args:
            unverified: Text from outside.
            field: How the caller calls it, for the error.

        Raises:
            InvalidFieldError: It is not an owner's name.
        """
        kind, _, owner_id = unverified.partition("/")
        if kind not in set(OwnerKind) or not _ID.fullmatch(owner_id):
            raise InvalidFieldError(field, OWNER_RULE)
        return cls(OwnerKind(kind), owner_id)

    def __str__(self) -> str:
        return f"{self.kind}/{self.owner_id}"


@dataclass(frozen=True, slots=True, order=True)
class KeyName:
    """An owner's key: `users/alice/keys/openai`."""

    owner: OwnerName
    key_id: str

    @classmethod
    def parse(cls, unverified: str, field: str) -> Self:
        """Parse *unverified*; see `OwnerName.parse`."""
        owner, separator, key_id = unverified.partition("/keys/")
        if not separator or not _ID.fullmatch(key_id):
            raise InvalidFieldError(field, KEY_RULE)
        try:
            return cls(OwnerName.parse(owner, field), key_id)
        except InvalidFieldError:
            pass
        raise InvalidFieldError(field, KEY_RULE)

    def __str__(self) -> str:
        return f"{self.owner}/keys/{self.key_id}"


@dataclass(frozen=True, slots=True)
class GrantName:
    """A grant on a key: `users/alice/keys/openai/grants/0123456789abcdef`."""

    key: KeyName
    grant_id: str

    @classmethod
    def parse(cls, unverified: str, field: str) -> Self:
        """Parse *unverified*; see `OwnerName.parse`."""
        return cls(*_below_a_key("grants", unverified, field))

    def __str__(self) -> str:
        return f"{self.key}/grants/{self.grant_id}"


@dataclass(frozen=True, slots=True)
class GrantRequestName:
    """A request for a grant: `users/alice/keys/openai/grantRequests/0123456789abcdef`."""

    key: KeyName
    request_id: str

    @classmethod
    def parse(cls, unverified: str, field: str) -> Self:
        """Parse *unverified*; see `OwnerName.parse`."""
        return cls(*_below_a_key("grantRequests", unverified, field))

    def __str__(self) -> str:
        return f"{self.key}/grantRequests/{self.request_id}"


def _below_a_key(collection: str, unverified: str, field: str) -> tuple[KeyName, str]:
    """Return the key, and the id below it in *collection*, that *unverified* names."""
    key, separator, resource_id = unverified.partition(f"/{collection}/")
    if separator and _RANDOM_ID.fullmatch(resource_id):
        try:
            return KeyName.parse(key, field), resource_id
        except InvalidFieldError:
            pass
    raise InvalidFieldError(
        field, f"must be a key's name followed by /{collection}/<16 hexadecimal digits>"
    )
