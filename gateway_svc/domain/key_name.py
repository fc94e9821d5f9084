"""The name of a key, as the gateway needs it: checked, and the context that opens the key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from svc_runtime.service_error import InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId

# The key service's rule, written a second time on purpose: the gateway binds the decryption to the
# name that it was asked for, so it must not depend on the other half to know what a name is. A test
# holds the two alike.
_ID: Final = r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?"
_KEY_NAME: Final = re.compile(rf"(?:users|teams)/{_ID}/keys/{_ID}")

FIELD: Final = "x-keyturn-key"
FORM_RULE: Final = (
    "must be users/<id>/keys/<id> or teams/<id>/keys/<id>; each id must be 1 to 63 characters of "
    "a-z, 0-9, '-', '_' and '.', and start and end with a letter or digit"
)
MISSING_RULE: Final = "must name the key to use: the gateway has no default for this app"


@dataclass(frozen=True, slots=True)
class KeyName:
    """The name of a key: `users/alice/keys/openai`."""

    text: str

    @classmethod
    def parse(cls, unverified: str) -> Self:
        """Parse *unverified*.

        Raises:
            InvalidFieldError: It is not a key's name.
        """
        if not _KEY_NAME.fullmatch(unverified):
            raise InvalidFieldError(FIELD, FORM_RULE)
        return cls(unverified)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """Which key a call uses: the one that it names, else the operator's default for the app."""

    default_of_app: Mapping[SpiffeId, KeyName]

    def choose(self, app: SpiffeId, unverified: str | None) -> KeyName:
        """Return the key that *app*'s call uses.

        Raises:
            InvalidFieldError: The call names no possible key, or none and there is no default.
        """
        if unverified:
            return KeyName.parse(unverified)
        default = self.default_of_app.get(app)
        if default is None:
            raise InvalidFieldError(FIELD, MISSING_RULE)
        return default
