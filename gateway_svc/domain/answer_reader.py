"""Reads OpenAI's answer as it passes: what the app gets of it, and what it has taken."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from typing import Final

from gateway_svc.domain.errors import UpstreamUnavailableError
from gateway_svc.domain.event_filter import EventFilter
from gateway_svc.domain.headers import Headers, header, response_headers
from gateway_svc.domain.key_echo import without_key_echo
from gateway_svc.domain.upstream_ports import AnswerWatch
from gateway_svc.domain.usage import Usage
from gateway_svc.domain.usage_meter import UsageMeter

_FIRST_ERROR: Final = 400
# Errors are read whole, so that an echo of the key cannot hide in a cut between two pieces.
_MAX_ERROR_BYTES: Final = 1024 * 1024
_FORM_HEADERS: Final = ("content-encoding", "content-length")
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS  # zlib's way to say "gzip, and nothing else"
_MAX_DECODED_BYTES: Final = 1024 * 1024  # at a time


class AnswerReader:
    """One answer.

    Attributes:
        headers: What the app gets. Length and encoding are among them where the body passes as it
            comes.
    """

    def __init__(
        self,
        *,
        method: str,
        endpoint: str,
        status: int,
        headers: Headers,
        removes_usage: bool,
        watch: AnswerWatch | None = None,
    ) -> None:
        """Read an answer from its head on.

        Args:
            method: HTTP method of the request.
            endpoint: Path of the request, after `/v1/`.
            status: HTTP status of the answer.
            headers: All of OpenAI's, in lower case.
            removes_usage: Whether the gateway asked for the usage on the app's behalf.
            watch: Is shown what is no error; None when nobody looks on.

        Raises:
            UpstreamUnavailableError: The answer has an encoding that nobody asked for: no echo of
                the key could be seen in it.
        """
        encoding = header(headers, "content-encoding").strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise UpstreamUnavailableError
        content_type = header(headers, "content-type")
        is_stream = content_type.partition(";")[0].strip().lower() == "text/event-stream"
        self._error = bytearray() if status >= _FIRST_ERROR and method != "HEAD" else None
        self._filter = EventFilter(removes_usage=removes_usage) if is_stream else None
        self._meter = UsageMeter(method, endpoint, content_type)
        self._watch = watch
        self._decoder = _Decoder() if encoding.endswith("gzip") else None
        is_untouched = self._error is None and self._filter is None
        form = headers if is_untouched else ()
        self.headers = response_headers(headers) + tuple(
            (name, header(form, name)) for name in _FORM_HEADERS if header(form, name)
        )

    @property
    def usage(self) -> Usage:
        """What the request has taken, as far as the answer has told."""
        return self._meter.usage()

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece; return what goes on to the app.

        Raises:
            UpstreamUnavailableError: The body is not in its encoding, or an error is too long.
        """
        plain = self._decoder.feed(piece) if self._decoder else iter((piece,))
        if self._error is not None:
            for part in plain:
                self._error += part
                if len(self._error) > _MAX_ERROR_BYTES:
                    raise UpstreamUnavailableError
            return b""
        passed = []
        for part in plain:
            self._meter.feed(part)
            if self._watch is not None:
                self._watch.part(part)
            if self._filter is not None:
                passed.append(self._filter.feed(part))
        return b"".join(passed) if self._filter is not None else piece

    def rest(self) -> bytes:
        """Return what the app gets at the body's end."""
        if self._error is not None:
            return without_key_echo(bytes(self._error))
        return self._filter.rest() if self._filter is not None else b""


class _Decoder:
    """Decodes gzip piece by piece, in bounded memory."""

    def __init__(self) -> None:
        self._gzip = zlib.decompressobj(_GZIP_WINDOW)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield what *piece* decodes to, in parts of at most 1 MiB."""
        while piece and not self._gzip.eof:
            yield self._decoded(piece)
            piece = self._gzip.unconsumed_tail

    def _decoded(self, piece: bytes) -> bytes:
        with contextlib.suppress(zlib.error):
            return self._gzip.decompress(piece, _MAX_DECODED_BYTES)
        raise UpstreamUnavailableError
