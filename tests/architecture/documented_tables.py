"""Tables of the documents, as the tests compare them with the code."""

from __future__ import annotations

import re

from tests.architecture.source_tree import ROOT


def table_rows(document: str, heading: str, first_column: str) -> list[list[str]]:
    """Return the rows of one table, each as its cells.

    Args:
        document: Path below the repository's root.
        heading: The heading line, without `#`, of the section that holds the table.
        first_column: Title of the table's first column.
    """
    text = (ROOT / document).read_text(encoding="utf-8")
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, flags=re.MULTILINE)[0]
    lines = section.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def code_words(cell: str) -> list[str]:
    """Return what stands in backticks in *cell*."""
    return re.findall(r"`([^`]+)`", cell)
