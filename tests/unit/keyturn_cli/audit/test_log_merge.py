from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from keyturn_cli.audit.log_files import LogKind
from keyturn_cli.audit.log_merge import MAX_HELD, LogMerge
from keyturn_cli.audit.log_source import BadLine, Item
from tests.fakes.fake_clock import FakeClock
from tests.unit.keyturn_cli.audit.made_logs import (
    compress,
    log_at,
    milliseconds_of,
    service_line,
    text_of,
    vault_line,
    write_log,
)

Merging = Callable[..., LogMerge]


@pytest.fixture
def merging() -> Iterator[Merging]:
    with ExitStack() as stack:

        def merge(*paths: Path, kind: LogKind = LogKind.VAULT) -> LogMerge:
            merge = stack.enter_context(closing(LogMerge(FakeClock())))
            for path in paths:
                merge.add(log_at(path, kind))
            return merge

        yield merge


def _all(merge: LogMerge) -> list[Item]:
    items = []
    while (some := merge.read()) is not None:
        items += some
    return items + merge.flush(with_unended=True)


def _dealt(milliseconds: Iterable[int], folder: Path, count: int) -> list[Path]:
    """Deal *milliseconds* out to *count* logs, as operations go to nodes."""
    dealer = random.Random(7)  # noqa: S311 - for variety, not for secrecy
    hands: list[list[int]] = [[] for _ in range(count)]
    for millisecond in milliseconds:
        dealer.choice(hands).append(millisecond)
    return [write_log(folder / f"node{i}.log", hand) for i, hand in enumerate(hands)]


def _open_file_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_lines_of_several_logs_come_in_the_order_of_time(tmp_path: Path, merging: Merging) -> None:
    milliseconds = range(0, 3_000_000, 250)
    merge = merging(*_dealt(milliseconds, tmp_path, 3))

    assert milliseconds_of(_all(merge)) == list(milliseconds)


def test_lines_that_are_out_of_order_by_less_than_two_seconds_are_put_right(
    tmp_path: Path, merging: Merging
) -> None:
    dealer = random.Random(7)  # noqa: S311 - for variety, not for secrecy
    milliseconds = list(range(0, 600_000, 50))
    written = sorted(milliseconds, key=lambda millisecond: millisecond + dealer.uniform(0, 1900))
    merge = merging(write_log(tmp_path / "audit.log", written))

    assert written != milliseconds
    assert milliseconds_of(_all(merge)) == milliseconds


def test_lines_are_released_while_logs_are_read(tmp_path: Path, merging: Merging) -> None:
    merge = merging(write_log(tmp_path / "audit.log", range(0, 3_000_000, 100)))

    released = 0
    for _ in range(6):
        released += len(merge.read() or ())

    assert released > 1000


def test_a_log_is_opened_when_its_time_comes(tmp_path: Path, merging: Merging) -> None:
    parts = [
        write_log(tmp_path / f"audit.log.{50 - part}", range(part * 60_000, part * 60_000 + 600))
        for part in range(50)
    ]
    merge = merging(*parts)
    before = _open_file_count()

    most = 0
    while merge.read() is not None:
        most = max(most, _open_file_count() - before)

    assert most <= 2


def test_logs_that_are_packed_and_logs_that_are_not_are_merged(
    tmp_path: Path, merging: Merging
) -> None:
    packed = compress(write_log(tmp_path / "audit.log.1", range(0, 1000, 2)))
    plain = write_log(tmp_path / "audit.log", range(1, 1000, 2))

    assert milliseconds_of(_all(merging(packed, plain))) == list(range(1000))


def test_a_line_that_cannot_be_parsed_keeps_its_place(tmp_path: Path, merging: Merging) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(text_of([vault_line(1), b"no entry", b"", vault_line(2)]))

    first, bad, last = _all(merging(path))

    assert milliseconds_of([first, last]) == [1, 2]
    assert isinstance(bad.content, BadLine)
    assert bad.content.place.line == 2


def test_the_last_line_counts_without_its_newline(tmp_path: Path, merging: Merging) -> None:
    path = write_log(tmp_path / "audit.log", [1])
    path.write_bytes(path.read_bytes() + vault_line(2))

    assert milliseconds_of(_all(merging(path))) == [1, 2]


def test_lines_of_a_service_keep_their_order(tmp_path: Path, merging: Merging) -> None:
    path = tmp_path / "gateway-svc.log"
    path.write_bytes(text_of(service_line(millisecond) for millisecond in (10, 14, 12, 13, 20)))

    items = _all(merging(path, kind=LogKind.SERVICE))

    assert milliseconds_of(items) == [10, 14, 12, 13, 20]


def test_a_line_of_a_wrong_clock_does_not_hold_up_the_other_logs(
    tmp_path: Path, merging: Merging
) -> None:
    wrong = 3_500_000
    crooked = write_log(tmp_path / "a.log", [*range(0, 2_000_000, 1000), wrong])
    straight = write_log(tmp_path / "b.log", range(500, 2_000_000, 1000))
    with crooked.open("ab") as file:
        file.write(text_of(vault_line(ms) for ms in range(2_000_000, 3_000_000, 1000)))

    milliseconds = milliseconds_of(_all(merging(crooked, straight)))

    milliseconds.remove(wrong)
    assert milliseconds == sorted(milliseconds)


def test_a_damaged_log_is_told_and_the_others_are_read(tmp_path: Path, merging: Merging) -> None:
    whole = write_log(tmp_path / "whole.log", range(1, 100, 2))
    cut = compress(write_log(tmp_path / "cut.log", range(0, 100, 2)))
    merge = merging(whole, cut)
    cut.write_bytes(cut.read_bytes()[:-9])

    read = milliseconds_of(_all(merge))

    assert set(range(1, 100, 2)) <= set(read)
    assert "breaks off" in merge.unread[str(cut)].reason


def test_no_more_lines_are_held_than_may_be(tmp_path: Path, merging: Merging) -> None:
    """Should the logs' clocks stand still, memory is kept, and order is not."""
    line = vault_line(1)
    path = tmp_path / "audit.log"
    path.write_bytes(text_of(line for _ in range(MAX_HELD + 20_000)))
    merge = merging(path)

    released = 0
    while (some := merge.read()) is not None:
        released += len(some)

    assert released >= 10_000


def test_memory_does_not_grow_with_the_logs(tmp_path: Path, merging: Merging) -> None:
    def peak(count: int) -> int:
        path = write_log(tmp_path / f"{count}.log", range(0, count * 10, 10))
        merge = merging(path)
        tracemalloc.start()
        try:
            while merge.read() is not None:
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(40_000) < 1.2 * peak(10_000)


def test_lines_of_the_far_future_stay_where_they_stand_and_carry_no_log_away(
    tmp_path: Path, merging: Merging
) -> None:
    forged = vault_line(2).replace(b"2026-02", b"2927-02")
    path = tmp_path / "audit.log"
    path.write_bytes(text_of([vault_line(1), forged, forged, vault_line(4)]))
    other = write_log(tmp_path / "other.log", [0, 3, 5])

    items = _all(merging(path, other))

    told = [item.content.ahead if isinstance(item.content, BadLine) else None for item in items]
    assert [(item.source, item.line) for item in items] == [
        *((1, 1), (0, 1), (0, 2), (0, 3)),
        *((1, 2), (0, 4), (1, 3)),
    ]
    assert [entry.time_us for entry in told if entry is not None] == [items[1].time_us] * 2


def test_a_log_that_begins_in_the_far_future_is_read_first(
    tmp_path: Path, merging: Merging
) -> None:
    forged = vault_line(2).replace(b"2026-02", b"2927-02")
    path = tmp_path / "audit.log"
    path.write_bytes(text_of([forged, vault_line(1), vault_line(4)]))

    items = _all(merging(path, write_log(tmp_path / "other.log", [0, 3, 5])))

    assert [item.time_us for item in items] == sorted(item.time_us for item in items)
    assert items[0].line == 1
    assert items[0].source == 0
