"""Lines of logs as rows of a table: as they were written, or as ECS documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeAlias

from pyvrl import Transform

from tests.architecture.source_tree import ROOT

FOLDER: Final = ROOT / "deploy" / "siem" / "ecs"
Row: TypeAlias = dict[str, str | int | float]
_PROGRAMS: Final = {"keyturn": "service_log.vrl", "vault": "vault_audit_log.vrl"}
_HASHED: Final = ("request", "response")  # parts whose `data` holds nothing but hashes


class Form(StrEnum):
    """In which form a SIEM has the lines."""

    RAW = "raw"
    ECS = "ecs"


def time_field(form: Form) -> str:
    """Return the field that holds an event's time."""
    return "time" if form is Form.RAW else "@timestamp"


def document(product: str, line: str) -> dict[str, Any]:
    """Return what Vector's language makes of *line*."""
    made: dict[str, Any] = _program(product)({"message": line})
    return made


def row(product: str, form: Form, line: str) -> Row:
    """Return *line* as a SIEM flattens it: nested names by dots, one value of a list as such."""
    if form is Form.ECS:
        return flat(document(product, line))
    record = json.loads(line)
    for part in _HASHED:
        if isinstance(record.get(part), dict):
            record[part].pop("data", None)
    return flat(record)


def flat(record: dict[str, Any], before: str = "") -> Row:
    """Return *record* without nesting and without what is null."""
    found: Row = {}
    for name, value in record.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{name}.")
        elif isinstance(value, list):
            found[before + name] = "\n".join(map(str, value))
        elif isinstance(value, bool):
            found[before + name] = str(value).lower()
        elif value is not None:
            found[before + name] = value
    return found


def rows(product: str, form: Form, lines: Iterable[str]) -> list[Row]:
    """Return the rows of *lines*."""
    return [row(product, form, line) for line in lines]


@cache
def _program(product: str) -> Callable[[dict[str, Any]], Any]:
    remap: Callable[[dict[str, Any]], Any] = Transform(
        (FOLDER / _PROGRAMS[product]).read_text(encoding="utf-8")
    ).remap
    return remap
