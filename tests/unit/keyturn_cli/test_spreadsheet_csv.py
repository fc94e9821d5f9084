from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn_cli.spreadsheet_csv import csv_text


def _cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_rows_stand_under_their_columns() -> None:
    assert csv_text(("app", "uses"), [("a,b", 1), ('say "x"', 2)]) == (
        'app,uses\n"a,b",1\n"say ""x""",2\n'
    )


@pytest.mark.parametrize(
    "word",
    ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\r\n=1", "\uff1d1", "\uff20x", "%0A=1"],
)
def test_what_a_spreadsheet_would_take_for_a_formula_is_text(word: str) -> None:
    ((cell,),) = _cells(csv_text(("model",), [(word,)]))[1:]

    assert cell.startswith(("'", "\N{REPLACEMENT CHARACTER}"))


@given(st.text())
def test_no_word_can_make_a_row_or_a_formula(word: str) -> None:
    rows = _cells(csv_text(("word", "count"), [(word, 7)]))

    assert len(rows) == 2
    assert rows[1][1] == "7"
    assert not rows[1][0].lstrip().startswith(("=", "+", "-", "@"))


def test_a_number_stays_a_number() -> None:
    assert csv_text(("count",), [(-1,)]) == "count\n-1\n"
