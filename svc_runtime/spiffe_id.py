"""SPIFFE identities: parse, validate, compare."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

# SPIFFE-ID, sections 2.1 and 2.2: lower-case trust domain, at most 255 bytes;
# path segments of these characters, none empty, none a dot segment.
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_SCHEME = "spiffe://"
_MAX_BYTES = 2048  # SPIFFE-ID, section 2.3: implementations must not accept more


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """A workload's name, such as `spiffe://example.org/app/billing`.

    Two ids are equal when trust domain and path are equal, byte for byte.
    """

    trust_domain: str
    path: str

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Parse *raw*, a SPIFFE URI.

        Raises:
            ValueError: *raw* is not a SPIFFE id with a path. The message does
                not repeat *raw*, which comes from outside.
        """
        if not raw.startswith(_SCHEME) or len(raw.encode()) > _MAX_BYTES:
            raise ValueError("not a SPIFFE URI")
        trust_domain, slash, path = raw.removeprefix(_SCHEME).partition("/")
        if not _TRUST_DOMAIN.fullmatch(trust_domain):
            raise ValueError("the SPIFFE trust domain is malformed")
        segments = path.split("/")
        if not slash or not all(_SEGMENT.fullmatch(s) and s not in {".", ".."} for s in segments):
            raise ValueError("the SPIFFE path is malformed or missing")
        return cls(trust_domain, "/" + path)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.trust_domain}{self.path}"
