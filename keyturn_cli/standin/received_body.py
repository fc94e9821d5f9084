"""Receiving a request body: all of it is hashed, and as much as needed is kept."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass, field
from typing import Final

from aiohttp import hdrs, web
from aiohttp.helpers import parse_mimetype

from keyturn_cli.standin.errors import body_too_large, missing_parameter, unreadable_form
from keyturn_cli.standin.form import Form

_MAX_KEPT_BYTES: Final = 64 * 1024 * 1024  # Well above what a gateway lets through.


@dataclass(slots=True)
class ReceivedBody:
    """What arrived of a body.

    Attributes:
        size: How many bytes.
        is_complete: Whether it ended as its framing says.
        form: The parts, if it is multipart; then the bytes themselves are not kept.
    """

    size: int = 0
    is_complete: bool = False
    form: Form | None = None
    _encoding: str = ""
    _kept: bytearray = field(default_factory=bytearray)
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """The digest of what arrived, as it was on the wire, in hex digits."""
        return self._digest.hexdigest()

    @property
    def content(self) -> bytes:
        """The bytes, uncompressed if they came with gzip; none for multipart.

        Raises:
            ApiError: They are too many to be kept.
        """
        if self.form is None and self.size > _MAX_KEPT_BYTES:
            raise body_too_large()
        if self._encoding != "gzip":
            return bytes(self._kept)
        try:
            return gzip.decompress(self._kept)
        except (OSError, EOFError, zlib.error):
            return b""

    def model(self) -> str:
        """Return the model that the form or the JSON object names, or an empty string."""
        if self.form is not None:
            return self.form.text("model") or ""
        content = self.content if self.size <= _MAX_KEPT_BYTES else b""
        if b'"model"' not in content:
            return ""
        try:
            fields = json.loads(content)
        except (ValueError, RecursionError):
            return ""
        model = fields.get("model") if isinstance(fields, dict) else None
        return model if isinstance(model, str) else ""

    def required_form(self, name: str) -> Form:
        """Return the form.

        Raises:
            ApiError: The body is no multipart form, so that *name* is missing, or the form
                breaks off.
        """
        if self.form is None:
            raise missing_parameter(name)
        if not self.form.is_finished:
            raise unreadable_form()
        return self.form

    async def receive(self, request: web.Request) -> None:
        """Read the body of *request* to its end."""
        mimetype = parse_mimetype(request.headers.get(hdrs.CONTENT_TYPE, ""))
        boundary = mimetype.parameters.get("boundary")
        if mimetype.type == "multipart" and boundary:
            self.form = Form(boundary)
        self._encoding = request.headers.get(hdrs.CONTENT_ENCODING, "").lower()
        async for piece in request.content.iter_any():
            self.size += len(piece)
            self._digest.update(piece)
            if self.form is not None:
                self.form.feed(piece)
            elif self.size <= _MAX_KEPT_BYTES:
                self._kept += piece
        self.is_complete = True


BODY: Final[web.RequestKey[ReceivedBody]] = web.RequestKey("body", ReceivedBody)
