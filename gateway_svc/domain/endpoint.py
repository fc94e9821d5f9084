"""OpenAI paths: checked before they decide anything or are sent anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import unquote

from svc_runtime.service_error import InvalidFieldError

_MAX_CHARACTERS: Final = 256  # of a path; the key service takes no more either
# RFC 3986 `pchar`, without `;`: some servers cut a segment there, and then read `..;x` as `..`.
_RAW_SEGMENT: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})+")
# What a segment may hold once decoded: printable ASCII, nothing that another decoder could read as
# a separator or as a further escape.
_SEGMENT: Final = re.compile(r"[^\x00-\x20/\\%?#;\x7f-\U0010ffff]+")

RULE: Final = (
    "must be a path below /v1/ of at most 256 characters, without empty, '.' or '..' segments, "
    "escaped slashes or control characters"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One OpenAI endpoint.

    Attributes:
        raw: The path after `/v1/` as it is sent, percent-encoded.
        name: The same, decoded: what grants speak of.
    """

    raw: str
    name: str

    @classmethod
    def parse(cls, unverified: str, field: str = "path") -> Self:
        """Parse *unverified*, the path after `/v1/` as the app sent it.

        Raises:
            InvalidFieldError: It could be read in more than one way, or leads elsewhere.
        """
        decoded = [
            unquote(segment) for segment in unverified.split("/") if _RAW_SEGMENT.fullmatch(segment)
        ]
        if (
            len(unverified) > _MAX_CHARACTERS
            or len(decoded) != unverified.count("/") + 1
            or not all(_SEGMENT.fullmatch(s) and s not in {".", ".."} for s in decoded)
        ):
            raise InvalidFieldError(field, RULE)
        return cls(unverified, "/".join(decoded))
