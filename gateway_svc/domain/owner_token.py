"""The proof of the owner's presence that an app may send beside its own."""

from __future__ import annotations

import re
from typing import Final

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError

FIELD: Final = "x-keyturn-owner-token"
"""HTTP header and metadata key. It is no header that passes to OpenAI."""

_MAX_CHARACTERS: Final = 16 * 1024
# A JWT in its compact form. Whether it is good, only the key service can tell.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def owner_token_of(unverified: str | None) -> SecretBytes | None:
    """Return the token that came in the field; None when none came.

    Raises:
        InvalidFieldError: It is no JWT, or too long.
    """
    if unverified is None:
        return None
    if len(unverified) > _MAX_CHARACTERS or not _TOKEN.fullmatch(unverified):
        raise InvalidFieldError(FIELD, "must be a JWT of at most 16 KiB")
    return SecretBytes(unverified.encode("ascii"))
