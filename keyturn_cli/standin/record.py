"""The record of requests: what arrived, as JSON lines, without any key."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from keyturn_cli.standin.app_state import REQUEST_ID
from keyturn_cli.standin.received_body import BODY

# A key that strays into another header or the path must show there, and not be written.
_KEY: Final = re.compile(r"sk-[A-Za-z0-9_-]{16,}|(?<=openai-insecure-api-key\.)[^\s,]+")
_KEY_REPLACEMENT: Final = "<key>"
_MIN_BEARER_LENGTH: Final = 16  # A shorter one is no key, and may be part of any word.


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message of a WebSocket: of *kind* text or binary."""

    kind: str
    sha256: str
    size: int

    @classmethod
    def of(cls, data: str | bytes) -> ReceivedMessage:
        """Return what the record holds of *data*."""
        raw = data if isinstance(data, bytes) else data.encode()
        kind = "binary" if isinstance(data, bytes) else "text"
        return cls(kind, hashlib.sha256(raw).hexdigest(), len(raw))


MESSAGES: Final[web.RequestKey[list[ReceivedMessage]]] = web.RequestKey("messages", list)
"""What a client sent over a WebSocket; set once the handshake is through."""
_IS_RECORDED: Final[web.RequestKey[bool]] = web.RequestKey("is_recorded", bool)


class RequestRecord:
    """Appends one JSON line a request to a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        """Open *path*, which is created if absent and otherwise kept.

        Raises:
            OSError: The file cannot be written.
        """
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, request: web.Request) -> None:
        """Write down *request*, once.

        `path` is the request target as it was sent, `raw_path` and `query` are its two
        halves; `query` is null when there is no question mark. `authorization_sha256` is
        the digest of the whole value, `Bearer ` included; of the values joined by `, `
        when there are several; null when there is none. Keys anywhere else are written
        as `<key>`. `messages` is null unless a WebSocket was opened.
        """
        if request.get(_IS_RECORDED):
            return
        request[_IS_RECORDED] = True
        authorizations = request.headers.getall(hdrs.AUTHORIZATION, [])
        path = _without_keys(request.raw_path, authorizations)
        raw_path, mark, query = path.partition("?")
        body = request[BODY]
        messages = request.get(MESSAGES)
        line = {
            "request_id": request[REQUEST_ID],
            "method": request.method,
            "path": path,
            "raw_path": raw_path,
            "query": query if mark else None,
            "headers": [
                [name, None if name == "authorization" else _without_keys(value, authorizations)]
                for name, value in decoded_headers(request)
            ],
            "authorization_sha256": _digest(", ".join(authorizations)) if authorizations else None,
            "body_sha256": body.sha256,
            "body_bytes": body.size,
            "body_complete": body.is_complete,
            "messages": None if messages is None else [asdict(message) for message in messages],
        }
        # One write of one line: lines of several processes never mix.
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


RECORD: Final[web.AppKey[RequestRecord | None]] = web.AppKey("record")


def write_down(request: web.Request) -> None:
    """Add *request* to the record, if there is one."""
    record = request.app[RECORD]
    if record is not None:
        record.add(request)


def decoded_headers(request: web.Request) -> list[tuple[str, str]]:
    """Return the headers in the order in which they came, with names in lower case."""
    return [
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in request.raw_headers
    ]


def _without_keys(text: str, authorizations: list[str]) -> str:
    for authorization in authorizations:
        bearer = authorization.partition(" ")[2].strip()
        if len(bearer) >= _MIN_BEARER_LENGTH:
            text = text.replace(bearer, _KEY_REPLACEMENT)
    return _KEY.sub(_KEY_REPLACEMENT, text)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
