"""Templates of app ids, such as `spiffe://example.org/ns/{namespace}/sa/{name}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from svc_runtime.spiffe_id import SpiffeId

_FIELD: Final = re.compile(r"\{([a-z]+)\}")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class AppIdTemplate:
    """Makes app ids. Different values make different ids: each fills a path segment of its own."""

    segments: tuple[str, ...]

    @classmethod
    def parse(cls, raw: str, fields: frozenset[str]) -> Self:
        """Parse *raw*, a SPIFFE ID in which `{field}` stands for whole path segments.

        Raises:
            ValueError: *raw* is no such thing, or does not name each of *fields* once.
        """
        segments = raw.split("/")
        named = [match[1] for match in map(_FIELD.fullmatch, segments) if match]
        if sorted(named) != sorted(fields):
            wanted = ", ".join(f"{{{name}}}" for name in sorted(fields))
            raise ValueError(f"must name each of {wanted} once, as a path segment of its own")
        template = cls(tuple(segments))
        # A capital, which no trust domain has: a field cannot stand for one.
        SpiffeId.parse(template.fill(dict.fromkeys(fields, "X")))
        return template

    @property
    def prefix(self) -> str:
        """What all its ids begin with, up to the first field."""
        first = next(n for n, segment in enumerate(self.segments) if _FIELD.fullmatch(segment))
        return "/".join(self.segments[:first]) + "/"

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the id of *values*.

        Raises:
            ValueError: A value is no path segment of a SPIFFE ID as it is.
        """
        return "/".join(_filled(segment, values) for segment in self.segments)

    def values_of(self, app: str) -> Mapping[str, str] | None:
        """Return the values that make *app*; None when there are none."""
        parts = app.split("/")
        if len(parts) != len(self.segments):
            return None
        values: dict[str, str] = {}
        for segment, part in zip(self.segments, parts, strict=True):
            match = _FIELD.fullmatch(segment)
            if match:
                values[match[1]] = part
            elif segment != part:
                return None
        return values


def _filled(segment: str, values: Mapping[str, str]) -> str:
    match = _FIELD.fullmatch(segment)
    if match is None:
        return segment
    value = values[match[1]]
    if not _SEGMENT.fullmatch(value) or value in {".", ".."}:
        raise ValueError("is no path segment of a SPIFFE ID")
    return value
