"""What goes to the terminal: tables for people, JSON for programs, no control characters."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_GAP: Final = "  "  # between the columns of a table that goes to a file or a pipe
_WIDEST: Final = 10_000  # columns; only to measure what a table would like to have
_KEPT_IN_PROSE: Final = "\n\t"
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def one_line(text: str) -> str:
    """Return *text* with control characters replaced, so that no log line can drive a terminal."""
    return "".join(c if c.isprintable() else _REPLACEMENT for c in " ".join(text.splitlines()))


def prose(text: str) -> str:
    """Return *text* with all control characters but line feed and tab replaced."""
    return "".join(c if c.isprintable() or c in _KEPT_IN_PROSE else _REPLACEMENT for c in text)


def print_json(document: object) -> None:
    """Print *document* as indented JSON with its keys in the given order."""
    click.echo(json_text(document, indent=2))


def json_text(document: object, *, indent: int | None = None) -> str:
    """Return *document* as JSON with all control characters escaped; it is the same value.

    JSON itself leaves some as they are that drive terminals.
    """
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\n" else json.dumps(c, ensure_ascii=True)[1:-1] for c in text
    )


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[str] = ()
) -> None:
    """Print *rows* under *columns*, no name cut anywhere, those of *numbers* aligned to the right.

    A pipe gets whole lines. A terminal gets a table, or where that is too wide for it, one block
    of lines for each row.
    """
    cells = [[one_line(cell) or "-" for cell in row] for row in rows]
    if not sys.stdout.isatty():
        _print_for_pipe(columns, cells, numbers)
        return
    console = Console()
    table = _table(columns, cells, numbers)
    if console.measure(table, options=console.options.update(width=_WIDEST)).maximum <= (
        console.width
    ):
        console.print(table)
        return
    for row in cells:
        print_fields(list(zip(columns, row, strict=True)))
        click.echo()


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True, justify="right" if column in numbers else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: no markup out of data
    return table


def _print_for_pipe(
    columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str]
) -> None:
    lines = [[column.upper() for column in columns], *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        padded = (
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, cell, width in zip(columns, line, widths, strict=True)
        )
        click.echo(_GAP.join(padded).rstrip())


def print_fields(fields: Sequence[tuple[str, str]], *, to_stderr: bool = False) -> None:
    """Print one thing's *fields*, a line each."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        click.echo(f"{name.ljust(width)}{_GAP}{one_line(value) or '-'}", err=to_stderr)
