"""The codes of an authenticator app, for the person of a local stack who has none (RFC 6238)."""

from __future__ import annotations

import base64
import hmac
import struct
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

PERIOD_SECONDS: Final = 30
_DIGITS: Final = 6


def totp_code(uri: str, now: datetime) -> str:
    """Return the code at *now* of *uri*, an `otpauth://` URI with SHA-1, 6 digits and 30 seconds.

    Raises:
        ValueError: It has no secret.
    """
    [secret] = parse_qs(urlsplit(uri).query).get("secret", [""])
    if not secret:
        raise ValueError("the URI has no secret")
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    counter = int(now.timestamp()) // PERIOD_SECONDS
    digest = hmac.digest(key, struct.pack(">Q", counter), "sha1")
    offset = digest[-1] & 0x0F  # RFC 4226, section 5.3
    [number] = struct.unpack(">I", digest[offset : offset + 4])
    return f"{(number & 0x7FFF_FFFF) % 10**_DIGITS:0{_DIGITS}d}"


def labelled(uri: str, person: str) -> str:
    """Return *uri* under the name of *person*: Vault labels it with the id of an entity."""
    parts = urlsplit(uri)
    issuer = parts.path.strip("/").partition(":")[0]
    return parts._replace(path=f"/{issuer}:{quote(person, safe='')}").geturl()
