from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from keyturn_cli.audit.log_source import Item, LogSource
from keyturn_cli.audit.log_text import DamagedLogError
from keyturn_cli.audit.positions import Position
from tests.unit.keyturn_cli.audit.made_logs import (
    append,
    compress,
    log_at,
    milliseconds_of,
    write_log,
)

Opened = Callable[..., LogSource]


@pytest.fixture
def opened() -> Iterator[Opened]:
    with ExitStack() as stack:
        yield lambda path, position=None: stack.enter_context(
            closing(LogSource(log_at(path), 0, position))
        )


def _all(source: LogSource) -> list[Item]:
    items = []
    while some := source.read():
        items += some
    return items


def _read_until_now(source: LogSource) -> Position:
    _all(source)
    position = source.position(())
    assert position is not None
    return position


def test_reading_goes_on_where_it_ended(tmp_path: Path, opened: Opened) -> None:
    path = write_log(tmp_path / "audit.log", [1, 2])
    position = _read_until_now(opened(path))

    append(path, [3, 4])
    items = _all(opened(path, position))

    assert milliseconds_of(items) == [3, 4]
    assert [item.line for item in items] == [3, 4]


def test_reading_goes_on_after_the_log_was_renamed_and_gzipped(
    tmp_path: Path, opened: Opened
) -> None:
    path = write_log(tmp_path / "audit.log", [1, 2])
    position = _read_until_now(opened(path))

    append(path, [3])
    moved = compress(path.rename(tmp_path / "audit.log.1"))

    assert milliseconds_of(_all(opened(moved, position))) == [3]


def test_lines_that_were_held_are_read_again(tmp_path: Path, opened: Opened) -> None:
    path = write_log(tmp_path / "audit.log", [1, 4, 2, 3])
    source = opened(path)
    items = _all(source)
    position = source.position([items[3], items[1]])

    append(path, [5])
    again = _all(opened(path, position))

    assert milliseconds_of(again) == [4, 3, 5]
    assert [item.line for item in again] == [2, 4, 5]


def test_a_line_that_was_half_written_is_read_when_it_is_whole(
    tmp_path: Path, opened: Opened
) -> None:
    path = write_log(tmp_path / "audit.log", [1, 2])
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    position = _read_until_now(opened(path))

    path.write_bytes(whole)

    assert milliseconds_of(_all(opened(path, position))) == [2]


def test_a_position_survives_as_a_document(tmp_path: Path, opened: Opened) -> None:
    source = opened(write_log(tmp_path / "audit.log", [1, 4, 2, 3]))
    position = source.position(_all(source)[1:2], may_grow=True)
    assert position is not None

    assert Position.from_document(position.document()) == position


def test_a_packed_log_that_was_read_whole_is_not_opened_again(
    tmp_path: Path, opened: Opened
) -> None:
    path = compress(write_log(tmp_path / "audit.log", [1, 2]))
    position = _read_until_now(opened(path))

    assert position.is_complete
    assert opened(path, position).is_ended


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "packed"])
def test_a_log_that_lost_lines_which_were_read_is_damaged(
    tmp_path: Path, opened: Opened, *, is_packed: bool
) -> None:
    path = write_log(tmp_path / "audit.log", [1, 2, 3])
    position = _read_until_now(opened(path))

    write_log(path, [1, 2])
    source = opened(compress(path) if is_packed else path, position)

    with pytest.raises(DamagedLogError, match="shorter"):
        _all(source)


def test_a_log_in_which_another_line_stands_where_reading_ended_is_damaged(
    tmp_path: Path, opened: Opened
) -> None:
    path = write_log(tmp_path / "audit.log", [1, 2, 3])
    position = _read_until_now(opened(path))

    write_log(path, [1, 2, 4, 5])

    with pytest.raises(DamagedLogError, match="line 3"):
        _all(opened(path, position))


def test_a_log_that_was_emptied_and_begun_anew_is_noticed(tmp_path: Path, opened: Opened) -> None:
    path = write_log(tmp_path / "audit.log", [1, 2])
    source = opened(path)
    _all(source)
    assert not source.was_cut()

    write_log(path, [30, 40, 50])

    assert source.was_cut()


def test_reading_goes_on_in_the_copy_of_a_log_that_was_emptied(
    tmp_path: Path, opened: Opened
) -> None:
    path = write_log(tmp_path / "audit.log", [1, 2])
    source = opened(path)
    _all(source)
    copy = write_log(tmp_path / "audit.log.1", [1, 2, 3])
    path.write_bytes(b"")

    source.move_to(log_at(copy))

    assert milliseconds_of(_all(source)) == [3]
    assert source.is_ended
