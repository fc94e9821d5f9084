"""CSV that a spreadsheet opens without taking any of it for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from keyturn_cli.printing import one_line

# Wide forms too: spreadsheets take them for the narrow ones.
_FORMULA: Final = ("=", "+", "-", "@", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """Return *rows* under *columns* as CSV.

    Words may be as apps wrote them: control characters are replaced, and what a spreadsheet would
    take for a formula begins with an apostrophe. Numbers stay numbers.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(value) if isinstance(value, str) else value for value in row])
    return text.getvalue()


def _cell(word: str) -> str:
    cell = one_line(word)
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA) else cell
