"""Events in SQLite, where the queries that rules become are run."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from tests.integration.siem.ecs import Row

TABLE: Final = "logs"
_MISSING: Final = re.compile(r"no such column: (.+)")


class EventTable:
    """A table of events, in which a field that no event has is null."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._database = sqlite3.connect(":memory:")
        self._database.create_function("REGEXP", 2, _matches, deterministic=True)
        self._database.execute(f"CREATE TABLE {TABLE} (place INTEGER PRIMARY KEY)")
        self._columns = {"place"}
        for row in rows:
            self._insert(row)

    def hits(self, queries: Iterable[str]) -> list[Sequence[object]]:
        """Return what *queries* find."""
        return [hit for query in queries for hit in self._run(query)]

    def _insert(self, row: Row) -> None:
        for name in row:
            self._add_column(name)
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        self._database.execute(
            f"INSERT INTO {TABLE} ({names}) VALUES ({marks})",  # noqa: S608 - names of fields
            list(row.values()),
        )

    def _run(self, query: str) -> list[Sequence[object]]:
        while True:
            try:
                return self._database.execute(query).fetchall()
            except sqlite3.OperationalError as error:
                missing = _MISSING.fullmatch(str(error))
                if missing is None:
                    raise
                self._add_column(missing[1])

    def _add_column(self, name: str) -> None:
        if name.lower() not in self._columns:
            self._columns.add(name.lower())
            self._database.execute(f'ALTER TABLE {TABLE} ADD COLUMN "{name}"')


def _matches(pattern: str, value: object) -> bool:
    return value is not None and re.search(pattern, str(value)) is not None
