from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from keyturn_cli.audit.line_reader import MAX_LINE_BYTES, Line, LineReader
from keyturn_cli.audit.log_text import CHUNK_BYTES, open_file

Opened = Callable[[bytes], LineReader]


@pytest.fixture
def reader_of(tmp_path: Path) -> Iterator[Opened]:
    with ExitStack() as stack:

        def opened(content: bytes) -> LineReader:
            path = tmp_path / "audit.log"
            path.write_bytes(content)
            return LineReader(stack.enter_context(closing(open_file(path))))

        yield opened


def _all(reader: LineReader) -> list[Line]:
    lines = []
    while some := reader.read():
        lines += some
    return lines


def test_lines_have_their_numbers_and_offsets(reader_of: Opened) -> None:
    reader = reader_of(b"one\n\nthree\n")

    assert _all(reader) == [(1, 0, b"one"), (2, 4, b""), (3, 5, b"three")]
    assert (reader.offset, reader.line_count) == (11, 3)
    assert reader.rest() is None


def test_lines_across_chunks_are_whole(reader_of: Opened) -> None:
    lines = [b"%d" % number * 3000 for number in range(1, 100)]
    reader = reader_of(b"\n".join(lines) + b"\n")

    assert [line.raw for line in _all(reader)] == lines


def test_a_line_without_an_end_is_not_read_but_can_be_asked_for(reader_of: Opened) -> None:
    reader = reader_of(b"one\ntw")

    assert _all(reader) == [(1, 0, b"one")]
    assert reader.rest() == (2, 4, b"tw")
    assert reader.offset == 4


@pytest.mark.parametrize(
    "length", [MAX_LINE_BYTES + 1, 5 * MAX_LINE_BYTES + CHUNK_BYTES // 2], ids=["just", "far"]
)
def test_a_line_that_is_too_long_is_not_kept_and_the_next_is_read(
    reader_of: Opened, length: int
) -> None:
    reader = reader_of(b"x" * length + b"\ntwo\n")

    assert _all(reader) == [(1, 0, None), (2, length + 1, b"two")]


def test_a_long_line_that_is_not_too_long_is_kept(reader_of: Opened) -> None:
    reader = reader_of(b"x" * MAX_LINE_BYTES + b"\n")

    ((_, _, raw),) = _all(reader)

    assert raw == b"x" * MAX_LINE_BYTES
