"""A multipart body, read as far as policy needs before its lease, and checked to its end."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.multipart import MultipartReader
from gateway_svc.domain.named_models import models_in_url
from gateway_svc.domain.request_facts import RequestFacts, facts_of_models
from gateway_svc.domain.token_bounds import bounds_beside_json
from gateway_svc.domain.upstream_ports import StreamedBody
from svc_runtime.service_error import InvalidFieldError

# What is read, at most, in search of a model before the lease is asked for.
_MAX_HEAD_BYTES: Final = 32 * 1024 * 1024
# Uploads to these name no model: their leases need not wait for any of the body.
_WITHOUT_A_MODEL: Final = frozenset(
    {"containers", "conversations", "files", "uploads", "vector_stores"}
)


class Upload:
    """One multipart body on its way through.

    Attributes:
        sha256: SHA-256 of the body, once its last byte has been read; empty before.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        query: str,
        content_type: str,
        body: StreamedBody,
        *,
        max_bytes: int,
    ) -> None:
        """Prepare to read *body*.

        Raises:
            InvalidFieldError: Its type cannot be read, it is said to have more than *max_bytes*, or
                the URL names several models.
        """
        self.sha256 = b""
        self._endpoint = endpoint
        self._in_url = models_in_url(endpoint, query)
        self._body = body
        self._max_bytes = max_bytes
        self._reader = MultipartReader(content_type)
        self._hash = hashlib.sha256()
        self._size = 0
        self._head: list[bytes] = []
        self._is_at_end = False
        self._known: tuple[str, ...] | None = None
        self._must_fit(body.length or 0)

    async def facts(self) -> RequestFacts:
        """Return what policy needs, having read no more than it takes to know it.

        Raises:
            InvalidFieldError: The body could be read in two ways, or is too large.
        """
        if self._endpoint.name.partition("/")[0] not in _WITHOUT_A_MODEL:
            async for piece in self._body.pieces:
                self._take(piece)
                self._head.append(piece)
                if self._reader.models or self._size >= _MAX_HEAD_BYTES:
                    break
            else:
                self._finish()
        self._known = self._reader.models
        bounds = bounds_beside_json(self._endpoint.name)
        return facts_of_models((*self._known, *self._in_url), bounds)

    def body(self) -> StreamedBody:
        """Return the whole body, for OpenAI. To be called after `facts`.

        Its last piece comes only once the body has been seen to be whole and to name no model that
        `facts` did not name; else `InvalidFieldError` comes in its place.
        """
        return StreamedBody(self._checked(), self._body.length)

    async def _checked(self) -> AsyncIterator[bytes]:
        held = b""
        for piece in self._head:
            if held:
                yield held
            held = piece
        self._head.clear()
        if not self._is_at_end:
            async for piece in self._body.pieces:
                self._take(piece)
                if held:
                    yield held
                held = piece
            self._finish()
        yield held

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        self._must_fit(self._size)
        self._reader.feed(piece)
        if self._known is not None and self._reader.models != self._known:
            raise InvalidFieldError("model", "must not be named so late in an upload: see the docs")
        self._hash.update(piece)

    def _finish(self) -> None:
        self._reader.must_be_whole()
        self._is_at_end = True
        self.sha256 = self._hash.digest()

    def _must_fit(self, size: int) -> None:
        if size > self._max_bytes:
            raise InvalidFieldError("body", f"must have at most {self._max_bytes} bytes")
