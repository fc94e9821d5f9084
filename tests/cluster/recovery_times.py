"""How long each fault kept anybody from being served, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping


def table(times: Mapping[tuple[str, str], float]) -> list[str]:
    """Return a line for each fault, with a column for each activity, in seconds."""
    faults = list(dict.fromkeys(fault for fault, _ in times))
    activities = list(dict.fromkeys(activity for _, activity in times))
    rows = [["", *activities]]
    rows += [[f, *(_cell(times.get((f, a))) for a in activities)] for f in faults]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def _cell(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"
