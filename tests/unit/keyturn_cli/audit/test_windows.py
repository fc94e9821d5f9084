from __future__ import annotations

from pathlib import Path

import pytest

from keyturn_cli.audit.options import Window
from keyturn_cli.audit.windows import parse_window, read_windows

HOUR = 3_600_000_000
TYPED = "1970-01-01T01:00:00Z/1970-01-01T02:00:00Z"


@pytest.mark.parametrize(
    "typed",
    [TYPED, "1970-01-01T01:00:00/1970-01-01T02:00:00", "1970-01-01T02:00+01:00 / 1970-01-01T02:00"],
)
def test_a_window_is_two_times(typed: str) -> None:
    assert parse_window(typed) == Window(HOUR, 2 * HOUR)


@pytest.mark.parametrize(
    "typed",
    ["", "now", "1970-01-01T01:00:00Z", f"{TYPED}/{TYPED}", "1970-01-02T00:00Z/1970-01-01T00:00Z"],
)
def test_anything_else_is_no_window(typed: str) -> None:
    with pytest.raises(ValueError, match="FROM/TO"):
        parse_window(typed)


def test_a_file_of_windows_has_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "windows"
    path.write_text(f"# bootstrap\n{TYPED}\n\n{TYPED}  # again\n")

    assert read_windows(path) == [Window(HOUR, 2 * HOUR)] * 2


def test_a_line_that_is_no_window_is_named(tmp_path: Path) -> None:
    path = tmp_path / "windows"
    path.write_text(f"{TYPED}\nsometimes\n")

    with pytest.raises(ValueError, match="line 2"):
        read_windows(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: No such file"):
        read_windows(tmp_path / "nowhere")
