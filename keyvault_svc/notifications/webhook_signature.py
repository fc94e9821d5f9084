"""The signature of a webhook, as https://www.standardwebhooks.com specifies it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from svc_runtime.secret_bytes import SecretBytes


def signature_headers(
    secrets: Sequence[SecretBytes], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the headers by which a receiver verifies *body*.

    Args:
        secrets: Each makes one signature; a receiver needs to know one of them.
        message_id: The same in each repetition.
        timestamp: When this try begins, in seconds since 1970.
        body: What is sent, to the byte.
    """
    content = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(secret.expose(), content, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(d).decode()}" for d in digests),
    }
