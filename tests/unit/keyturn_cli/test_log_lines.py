from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from keyturn_cli.command_error import CommandError
from keyturn_cli.log_lines import MAX_LINE_BYTES, read_json_lines

LINES = b'{"n": 1}\n\nnot json\n[2]\n{"n": 3}'


def test_objects_are_read_and_bad_lines_are_none(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(LINES)

    assert list(read_json_lines(path)) == [{"n": 1}, None, None, {"n": 3}]


def test_a_compressed_log_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "audit.log.gz"
    path.write_bytes(gzip.compress(LINES))

    assert list(read_json_lines(path)) == [{"n": 1}, None, None, {"n": 3}]


def test_a_line_without_end_is_one_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(b"x" * (3 * MAX_LINE_BYTES + 5) + b'\n{"n": 1}\n')

    assert list(read_json_lines(path)) == [None, {"n": 1}]


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(LINES)[:-9]], ids=["other", "cut"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audit.log.gz"
    path.write_bytes(content)

    with pytest.raises(CommandError, match=r"audit\.log\.gz cannot be read"):
        list(read_json_lines(path))
