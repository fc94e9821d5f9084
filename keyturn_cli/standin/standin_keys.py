"""The API keys that the stand-in knows: each names in clear how it behaves.

A key is `sk-standin-<kind>-<24 letters and digits>-<8 hex digits>`. The last part is
a checksum, so that a damaged key is refused as OpenAI refuses it. It proves nothing:
anybody can make such a key, and it opens nothing but the stand-in. An admin key, which
asks for usage and calls no model, begins with `sk-admin-standin-`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from enum import StrEnum
from typing import Final

from svc_runtime.secret_bytes import SecretBytes

_ALPHABET: Final = string.ascii_letters + string.digits
_RANDOM_LENGTH: Final = 24  # characters
_CHECKSUM_LENGTH: Final = 8  # hex digits


# As many as a verification makes, so that the key serves at first, and then dies under its users.
SERVED_BEFORE_REVOCATION: Final = 2


class KeyKind(StrEnum):
    """How the stand-in answers every request that carries the key."""

    WORKING = "working"
    RATELIMITED = "ratelimited"
    BROKE = "broke"
    FAILING = "failing"
    OVERLOADED = "overloaded"
    REVOKED = "revoked"
    SOONREVOKED = "soonrevoked"  # works for `SERVED_BEFORE_REVOCATION` requests, then no more
    FORBIDDEN = "forbidden"
    IPBLOCKED = "ipblocked"


_KEY: Final = re.compile(
    rb"(sk-standin-(" + "|".join(KeyKind).encode() + rb")-[A-Za-z0-9]{24})-([0-9a-f]{8})"
)
_ADMIN_KEY: Final = re.compile(_KEY.pattern.replace(b"sk-standin", b"sk-admin-standin"))
_KEY_ID_DIGITS: Final = 24


def make_key(kind: KeyKind = KeyKind.WORKING) -> SecretBytes:
    """Make a new key that behaves as *kind* says."""
    return _make("sk-standin", kind)


def make_admin_key(kind: KeyKind = KeyKind.WORKING) -> SecretBytes:
    """Make a new admin key that behaves as *kind* says."""
    return _make("sk-admin-standin", kind)


def check_key(raw: bytes) -> KeyKind | None:
    """Return the kind of *raw*, or None when it is no key of the stand-in that calls models."""
    return _kind_of(_KEY.fullmatch(raw))


def check_admin_key(raw: bytes) -> KeyKind | None:
    """Return the kind of *raw*, or None when it is no admin key of the stand-in."""
    return _kind_of(_ADMIN_KEY.fullmatch(raw))


def openai_key_id(raw_key: str) -> str:
    """Return the id that the stand-in knows *raw_key* by, in place of the key itself."""
    digest = hashlib.sha256(raw_key.encode("utf-8", "surrogateescape")).hexdigest()
    return f"key_{digest[:_KEY_ID_DIGITS]}"


def _make(prefix: str, kind: KeyKind) -> SecretBytes:
    unique = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    body = f"{prefix}-{kind}-{unique}".encode()
    return SecretBytes(body + b"-" + _checksum(body))


def _kind_of(match: re.Match[bytes] | None) -> KeyKind | None:
    if match is None or match[3] != _checksum(match[1]):
        return None
    return KeyKind(match[2].decode())


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECKSUM_LENGTH].encode()
