"""multipart/form-data, read as it passes, and refused where two readers could differ.

RFC 7578 and RFC 2046, without what servers read differently: folded headers, escapes in names,
line ends without a carriage return, a boundary inside of a part, text around the parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gateway_svc.domain.named_models import NamedModels, is_model_field, models_in_text
from svc_runtime.service_error import InvalidFieldError

_FIELD: Final = "body"
_MAX_HEADER_BYTES: Final = 8 * 1024  # of one part
_MAX_FIELD_BYTES: Final = 64 * 1024  # of a part that is no file, as far as it is read
_MAX_PARTS: Final = 1000
_CONTENT_TYPE: Final = re.compile(
    r"\s*multipart/form-data\s*;\s*boundary=(?:\"([A-Za-z0-9'()+_,./:=?-]{1,70})\""
    r"|([A-Za-z0-9'+_.-]{1,70}))\s*;?\s*",
    re.IGNORECASE,
)
_HEADER: Final = re.compile(rb"([A-Za-z0-9-]{1,64}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_PARAMETER: Final = (
    rb"[ \t]*;[ \t]*(name|filename\*?)="
    rb"(\"[^\"\\\x00-\x1f\x7f]*\"|[^\x00-\x20\"(),/:;<=>?@\[\\\]\x7f]+)"
)
_DISPOSITION: Final = re.compile(rb"form-data((?:" + _PARAMETER + rb")+)[ \t]*;?", re.IGNORECASE)
_PARAMETERS: Final = re.compile(_PARAMETER, re.IGNORECASE)
_ENCODINGS: Final = frozenset({b"7bit", b"8bit", b"binary"})
_CHARSET: Final = re.compile(rb"charset\s*=\s*\"?(?!utf-8|us-ascii)", re.IGNORECASE)
_CLOSE: Final = b"--"
_LINE_END: Final = b"\r\n"


def is_multipart(content_type: str) -> bool:
    """Tell whether *content_type* is `multipart/*`."""
    return content_type.strip().lower().startswith("multipart/")


class MultipartReader:
    """Finds the models that a body names, in memory that does not grow with its files."""

    def __init__(self, content_type: str) -> None:
        """Read a body of *content_type*.

        Raises:
            InvalidFieldError: It is not multipart/form-data with one boundary.
        """
        match = _CONTENT_TYPE.fullmatch(content_type)
        if match is None:
            raise InvalidFieldError(
                "content-type", "must be multipart/form-data with one boundary, and nothing else"
            )
        self._delimiter = b"--" + (match[1] or match[2]).encode("ascii")
        # As if a line had ended before: so the first delimiter is one like the others.
        self._buffer = bytearray(_LINE_END)
        self._step: Callable[[], bool] = self._find_delimiter
        self._part = _Part.before_the_first()
        self._part_count = 0
        self._is_closed = False
        self._models = NamedModels()

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were named so far."""
        return self._models.names

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body.

        Raises:
            InvalidFieldError: It could be read in two ways.
        """
        self._buffer += piece
        while self._step():
            pass

    def must_be_whole(self) -> None:
        """Return if the body that was fed is whole.

        Raises:
            InvalidFieldError: It is not.
        """
        if not self._is_closed or bytes(self._buffer) not in {b"", _LINE_END}:
            raise _malformed("must end with its boundary")

    def _find_delimiter(self) -> bool:
        """Pass the part's content over, up to the next delimiter; tell whether to go on."""
        start = self._buffer.find(self._delimiter)
        if start < 0:
            # The end may be the beginning of a delimiter, and the line end before it.
            kept = len(self._delimiter) - 1 + len(_LINE_END)
            self._pass_over(max(len(self._buffer) - kept, 0))
            return False
        end = start + len(self._delimiter)
        if len(self._buffer) < end + 2:
            return False
        if self._buffer[max(start - 2, 0) : start] != _LINE_END:
            raise _malformed("must have its boundary on lines of its own only")
        self._pass_over(start - 2)
        self._models.add(*self._part.models())
        after = bytes(self._buffer[len(_LINE_END) + len(self._delimiter) :][:2])
        del self._buffer[: len(_LINE_END) + len(self._delimiter) + 2]
        if after == _CLOSE:
            if not self._part_count:
                raise _malformed("must have a part")
            self._is_closed = True
            self._step = self._end
        elif after == _LINE_END:
            self._step = self._read_headers
        else:
            raise _malformed("must have its boundary on lines of its own only")
        return True

    def _pass_over(self, count: int) -> None:
        self._part.feed(self._buffer[:count])
        del self._buffer[:count]

    def _read_headers(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, _MAX_HEADER_BYTES)
        if end < 0:
            if len(self._buffer) >= _MAX_HEADER_BYTES:
                raise _malformed("must have at most 8 KiB of headers for each part")
            return False
        self._part_count += 1
        if self._part_count > _MAX_PARTS:
            raise _malformed(f"must have at most {_MAX_PARTS} parts")
        self._part = _Part.of(bytes(self._buffer[:end]))
        del self._buffer[: end + 2 * len(_LINE_END)]
        self._step = self._find_delimiter
        return True

    def _end(self) -> bool:
        if len(self._buffer) > len(_LINE_END):
            raise _malformed("must end with its boundary")
        return False


class _Part:
    """One part: a file, which is passed over, or a field, which may name models."""

    def __init__(self, name: str, *, is_file: bool, is_preamble: bool = False) -> None:
        self._name = name
        self._is_file = is_file
        self._is_preamble = is_preamble
        self._content = bytearray()
        self._is_cut = False

    @classmethod
    def before_the_first(cls) -> _Part:
        """Return what stands before the first part: nothing may."""
        return cls("", is_file=False, is_preamble=True)

    @classmethod
    def of(cls, head: bytes) -> _Part:
        """Return the part whose headers are *head*."""
        headers: dict[bytes, bytes] = {}
        for line in head.split(_LINE_END):
            match = _HEADER.fullmatch(line)
            if match is None or match[1].lower() in headers:
                raise _malformed("must have well-formed part headers, each once")
            headers[match[1].lower()] = match[2]
        parameters = _parameters(headers.get(b"content-disposition", b""))
        if headers.get(b"content-transfer-encoding", b"binary").strip().lower() not in _ENCODINGS:
            raise _malformed("must not have parts in a transfer encoding")
        media_type = headers.get(b"content-type", b"")
        is_file = bool(parameters.keys() & {b"filename", b"filename*"})
        if media_type.lower().startswith(b"multipart/") or (
            not is_file and _CHARSET.search(media_type)
        ):
            raise _malformed("must have parts in UTF-8 that are not multipart themselves")
        name = _utf8(parameters[b"name"])
        if name.lower() == "_charset_" or (is_file and is_model_field(name)):
            raise _malformed("must not have a field `_charset_`, or a model that is a file")
        return cls(name, is_file=is_file)

    def feed(self, content: bytes | bytearray) -> None:
        """Take the next of the content."""
        if self._is_preamble and content:
            raise _malformed("must begin with its boundary")
        if self._is_file or not content:
            return
        room = _MAX_FIELD_BYTES - len(self._content)
        self._content += content[:room]
        self._is_cut |= len(content) > room

    def models(self) -> tuple[str, ...]:
        """Return the models that the part names, now that it is whole.

        Raises:
            InvalidFieldError: That cannot be told.
        """
        if self._is_file or self._is_preamble:
            return ()
        if is_model_field(self._name):
            return (_utf8(bytes(self._content)).strip(),)
        if not self._content.lstrip().startswith((b"{", b"[", b"\xef\xbb\xbf")):
            return ()
        if self._is_cut:
            raise _malformed("must have at most 64 KiB of JSON in a field")
        return models_in_text(_utf8(bytes(self._content)), _FIELD, is_json=False)


def _parameters(disposition: bytes) -> dict[bytes, bytes]:
    match = _DISPOSITION.fullmatch(disposition)
    pairs = _PARAMETERS.findall(match[1]) if match else []
    parameters = {name.lower(): value.strip(b'"') for name, value in pairs}
    if b"name" not in parameters or len(parameters) != len(pairs):
        raise _malformed(
            "must have parts with a Content-Disposition: form-data, with one plain name and at "
            "most one filename"
        )
    return parameters


def _utf8(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        pass
    raise _malformed("must have names and fields in UTF-8")


def _malformed(rule: str) -> InvalidFieldError:
    return InvalidFieldError(_FIELD, rule)
