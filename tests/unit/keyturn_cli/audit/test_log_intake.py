"""How a follower goes on with logs that grow and are rotated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from keyturn_cli.audit.log_intake import QUIET_SECONDS, LogIntake
from keyturn_cli.audit.log_search import LogSearch
from tests.fakes.fake_clock import FakeClock
from tests.unit.keyturn_cli.audit.made_logs import (
    append,
    compress,
    milliseconds_of,
    vault_line,
    write_log,
)


class Follower:
    """Follows logs, step by step."""

    def __init__(self, stack: ExitStack, *logs: Path) -> None:
        self.clock = FakeClock()
        intake = LogIntake(LogSearch(logs, []), self.clock, follows=True)
        self.intake = stack.enter_context(closing(intake))
        self.intake.start()

    def read(self) -> list[int]:
        """Read all that there is, then look for more."""
        items = []
        while (some := self.intake.read()) is not None:
            items += some
        items += self.intake.settle()
        self.intake.look_again()
        return milliseconds_of(items)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "audit.log", [1, 2])


def test_lines_that_are_appended_are_read(log: Path, stack: ExitStack) -> None:
    follower = Follower(stack, log)
    assert follower.read() == [1, 2]

    append(log, [3])
    assert follower.read() == [3]
    assert follower.read() == []


def test_a_line_waits_for_its_end(log: Path, stack: ExitStack) -> None:
    follower = Follower(stack, log)
    follower.read()

    line = vault_line(3)
    with log.open("ab", buffering=0) as file:
        file.write(line[:20])
        assert follower.read() == []
        file.write(line[20:] + b"\n")
        assert follower.read() == [3]


@pytest.mark.parametrize("gives_folder", [False, True], ids=["file", "folder"])
def test_a_log_that_is_renamed_and_made_anew_is_followed(
    log: Path, stack: ExitStack, *, gives_folder: bool
) -> None:
    follower = Follower(stack, log.parent if gives_folder else log)
    follower.read()

    moved = log.rename(log.with_name("audit.log.1"))
    append(moved, [3])  # before the service opens the new file
    write_log(log, [4])
    append(moved, [5])

    assert sorted(follower.read() + follower.read()) == [3, 4, 5]
    append(moved, [6])
    assert follower.read() == [6]
    append(log, [7])
    assert follower.read() == [7]


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "packed"])
def test_a_log_that_is_copied_and_emptied_is_followed(
    log: Path, stack: ExitStack, *, is_packed: bool
) -> None:
    follower = Follower(stack, log)
    follower.read()

    append(log, [3])
    copy = log.with_name("audit.log.1")
    copy.write_bytes(log.read_bytes())
    if is_packed:
        compress(copy)
    write_log(log, [4])

    assert sorted(follower.read() + follower.read()) == [3, 4]
    append(log, [5])
    assert follower.read() == [5]
    assert not follower.intake.unread()


def test_a_log_that_is_emptied_without_a_copy_is_told(log: Path, stack: ExitStack) -> None:
    follower = Follower(stack, log)
    follower.read()

    log.write_bytes(b"")
    follower.read()

    (unread,) = follower.intake.unread()
    assert "emptied" in unread.reason
    write_log(log, [4])
    assert follower.read() + follower.read() == [4]


def test_a_log_that_turns_up_later_is_followed(log: Path, stack: ExitStack) -> None:
    follower = Follower(stack, log.parent)
    follower.read()

    write_log(log.with_name("node-b.log"), [3])

    assert follower.read() + follower.read() == [3]


def test_an_old_part_is_left_when_nothing_came_to_it_for_long(log: Path, stack: ExitStack) -> None:
    follower = Follower(stack, log)
    follower.read()
    log.rename(log.with_name("audit.log.1"))
    write_log(log, [4])
    follower.read()
    follower.read()

    follower.clock.advance(QUIET_SECONDS + 1)
    follower.read()
    follower.read()

    by_age = sorted(follower.intake.sources(), key=lambda source: source.log.first_us)
    assert [source.is_open for source in by_age] == [False, True]


def test_lines_of_the_last_two_seconds_wait_for_older_ones(
    tmp_path: Path, stack: ExitStack
) -> None:
    """The follower's clock shows March 1; lines of other logs may still come."""
    now = b'{"time": "2026-03-01T11:59:59Z", "type": "request", "request": {}}\n'
    log = tmp_path / "audit.log"
    log.write_bytes(now)
    follower = Follower(stack, log)
    assert follower.read() == []

    follower.clock.advance(2)

    assert len(follower.read()) == 1
