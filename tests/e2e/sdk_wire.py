"""What goes over the wire: at a client of the SDK, and at the stand-in for OpenAI."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import openai

from tests.e2e.clients import DEADLINE_SECONDS, Clients
from tests.e2e.owners import OwnedKey
from tests.e2e.sdk_clients import trust
from tests.live_files import FollowedFile

BOUNDARY: Final = "the-same-for-every-request"
# Ids and times of what a request has made; no two requests get the same.
_NEW: Final = re.compile(rb"(?<=[a-z][-_])[0-9a-f]{32}|(?<=\":)1[0-9]{9}(?=[,}])")
_POLL_SECONDS: Final = 0.02
_VERIFIER: Final = ["user-agent", "keyturn-gateway"]
Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """A request as the stand-in got it.

    Attributes:
        target: Path and query.
        messages: What came over a WebSocket; None for any other request.
    """

    method: str
    target: str
    headers: Headers
    body_sha256: str
    messages: list[dict[str, Any]] | None


@dataclass
class Answer:
    """An answer as a client got it, before anything is decoded.

    Attributes:
        to: Body of the request that is answered, as the client sent it.
    """

    to: bytes
    status: int
    headers: Headers
    body: bytearray = field(default_factory=bytearray)


class Watch(httpx2.HTTPTransport):
    """Connections of a client, and the answers that came over them."""

    def __init__(self, clients: Clients) -> None:
        super().__init__(verify=trust(clients), trust_env=False)
        self.answers: list[Answer] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = request.read()
        response = super().handle_request(request)
        raw = response.headers.raw
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]
        answer = Answer(sent, response.status_code, headers)
        self.answers.append(answer)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _Copied(response.stream, answer.body)
        return response


class _Copied(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, copy: bytearray) -> None:
        self._stream, self._copy = stream, copy

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._copy += piece
            yield piece

    def close(self) -> None:
        self._stream.close()


class FixedBoundaryOpenAI(openai.OpenAI):
    """The SDK, except that two forms with the same parts are the same bytes."""

    def _prepare_options(self, options: Any) -> Any:  # noqa: ANN401 - the SDK's private type
        headers = dict(options.headers or {})
        if headers.get("Content-Type") == "multipart/form-data":
            headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
            options = options.model_copy(update={"headers": headers})
        return super()._prepare_options(options)


class Recorder:
    """Requests that reach the stand-in with a key from now on, but for its verifications."""

    def __init__(self, clients: Clients, key: OwnedKey) -> None:
        self._mark = hashlib.sha256(b"Bearer " + key.api_key.expose()).hexdigest()
        self._record = FollowedFile(clients.stack.layout.logs_dir / "openai-standin.requests.jsonl")
        self._record.new_lines()

    def new(self) -> list[Request]:
        """Return what came since the last time."""
        entries = [json.loads(line) for line in self._record.new_lines() if self._mark in line]
        return [
            Request(
                entry["method"],
                entry["path"],
                [(name, value) for name, value in entry["headers"]],
                entry["body_sha256"],
                entry["messages"],
            )
            for entry in entries
            if _VERIFIER not in entry["headers"]
        ]

    async def session(self) -> Request:
        """Return the WebSocket that came since the last time; it is recorded when it has ended."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                if requests := self.new():
                    (request,) = requests
                    return request
                await asyncio.sleep(_POLL_SECONDS)


def without_news(text: bytes) -> bytes:
    """Return *text* without ids and times that were made for one request alone."""
    return _NEW.sub(b"<new>", text)
