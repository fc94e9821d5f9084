"""The record of requests: what arrived, as JSON lines, without any key."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

# A key that strays into another header or the path must show there, and not be written.
_KEY: Final = re.compile(r"sk-[A-Za-z0-9_-]{16,}")
_KEY_REPLACEMENT: Final = "<key>"
_MIN_BEARER_LENGTH: Final = 16  # A shorter one is no key, and may be part of any word.


class RequestRecord:
    """Appends one JSON line a request to a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        """Open *path*, which is created if absent and otherwise kept.

        Raises:
            OSError: The file cannot be written.
        """
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, request: web.Request, body: bytes, request_id: str) -> None:
        """Write down *request*, before it is answered.

        `authorization_sha256` is the digest of the whole value, `Bearer ` included; of
        the values joined by `, ` when there are several; null when there is none.
        Keys anywhere else are written as `<key>`.
        """
        authorizations = request.headers.getall(hdrs.AUTHORIZATION, [])
        line = {
            "request_id": request_id,
            "method": request.method,
            "path": _without_keys(request.raw_path, authorizations),
            "headers": [
                [name, None if _is_authorization(name) else _without_keys(value, authorizations)]
                for name, value in _decoded_headers(request)
            ],
            "authorization_sha256": _digest(", ".join(authorizations)) if authorizations else None,
            "body_sha256": hashlib.sha256(body).hexdigest(),
            "body_bytes": len(body),
        }
        # One write of one line: lines of several processes never mix.
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _decoded_headers(request: web.Request) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers
    ]


def _is_authorization(name: str) -> bool:
    return name.lower() == "authorization"


def _without_keys(text: str, authorizations: list[str]) -> str:
    for authorization in authorizations:
        bearer = authorization.partition(" ")[2].strip()
        if len(bearer) >= _MIN_BEARER_LENGTH:
            text = text.replace(bearer, _KEY_REPLACEMENT)
    return _KEY.sub(_KEY_REPLACEMENT, text)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
