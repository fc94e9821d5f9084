"""What a PromQL expression asks for: series, the labels that it names, and their values."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STRING = r'"(?:[^"\\]|\\.)*"'
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_SELECTOR = re.compile(r"\b([a-z_:][A-Za-z0-9_:]*)\b(?:\s*\{([^}]*)\})?(?!\s*\()")
_MATCHER = re.compile(rf"\s*([a-z_]+)\s*(=~|!~|!=|=)\s*({_STRING})\s*,?")
_RANGE = re.compile(r"\[[^\]]*\]")
_WORDS = frozenset({"and", "bool", "by", "offset", "on", "or", "unless", "without"})


@dataclass(frozen=True)
class Matcher:
    """One condition on a label's value."""

    label: str
    operator: str
    value: str

    def alternatives(self) -> list[str]:
        """Return the patterns of which a value has to match one."""
        return self.value.split("|") if "~" in self.operator else [self.value]


@dataclass(frozen=True)
class Selector:
    """One series that an expression asks for."""

    name: str
    matchers: tuple[Matcher, ...]


def selectors(expression: str) -> list[Selector]:
    """Return the series that *expression* asks for, in order."""
    plain = _GROUPING.sub(" ", expression)
    found = []
    for match in _SELECTOR.finditer(_without_ranges(plain)):
        name, conditions = match[1], match[2] or ""
        if name in _WORDS or re.fullmatch(r"[smhdw]", name):
            continue
        matchers = tuple(Matcher(m[1], m[2], m[3][1:-1]) for m in _MATCHER.finditer(conditions))
        found.append(Selector(name, matchers))
    return found


def grouping_labels(expression: str) -> set[str]:
    """Return the labels by which *expression* groups and joins."""
    return {
        label.strip()
        for labels in _GROUPING.findall(expression)
        for label in labels.split(",")
        if label.strip()
    }


def _without_ranges(expression: str) -> str:
    return re.sub(r"\boffset\s+\S+", " ", _RANGE.sub(" ", expression))
