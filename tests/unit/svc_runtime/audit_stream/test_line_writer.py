"""Lines are written in order, never twice, never waited for by whoever puts them."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from svc_runtime.audit_stream.line_writer import LineWriter
from svc_runtime.audit_stream.outputs import DescriptorOutput, SyncedFile

_LONG_SECONDS = 20.0  # far more than any test takes
_SHORT_SECONDS = 0.05


class _Told:
    """What a writer tells of failures."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.failed = threading.Event()
        self.recovered = threading.Event()

    def fail(self, name: str) -> None:
        self.failures.append(name)
        self.failed.set()


class _CountingFile(SyncedFile):
    """A file that counts its writes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.count = 0

    def write(self, data: bytes | memoryview) -> int:
        self.count += 1
        return super().write(data)


class _StutteringFile(SyncedFile):
    """A file that takes a few bytes at a time, and fails every second time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._count = 0

    def write(self, data: bytes | memoryview) -> int:
        self._count += 1
        if self._count % 2:
            raise OSError(errno.ENOSPC, "full")
        return super().write(data[:7])


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        for descriptor in (reading, writing):
            with suppress(OSError):
                os.close(descriptor)


def _lines(count: int, size: int = 20) -> list[bytes]:
    return [f"{number:0{size}}\n".encode() for number in range(count)]


def _read_lines(descriptor: int, count: int) -> list[bytes]:
    data = b""
    while data.count(b"\n") < count:
        data += os.read(descriptor, 65536)
    return data.splitlines(keepends=True)


async def test_a_pipe_with_room_has_a_line_when_put_returns() -> None:
    with _pipe() as (reading, writing):
        writer = LineWriter(DescriptorOutput(writing))
        writer.put(b"a\n")

        assert os.read(reading, 100) == b"a\n"
        await writer.written(0)
        writer.close(_LONG_SECONDS)


async def test_a_full_pipe_does_not_hold_up_who_puts_lines() -> None:
    with _pipe() as (reading, writing):
        writer = LineWriter(DescriptorOutput(writing))
        lines = _lines(20_000)
        for line in lines:
            writer.put(line)
        with pytest.raises(TimeoutError):
            await writer.written(_SHORT_SECONDS)

        got = await asyncio.to_thread(_read_lines, reading, len(lines))

        assert got == lines
        await writer.written(_LONG_SECONDS)
        writer.close(_LONG_SECONDS)


async def test_a_line_longer_than_a_pipe_arrives_whole() -> None:
    with _pipe() as (reading, writing):
        writer = LineWriter(DescriptorOutput(writing))
        [line] = _lines(1, 200_000)
        writer.put(line)

        assert await asyncio.to_thread(_read_lines, reading, 1) == [line]
        writer.close(_LONG_SECONDS)


async def test_a_pipe_that_nobody_reads_any_more_never_counts_as_written() -> None:
    told = _Told()
    with _pipe() as (reading, writing):
        writer = LineWriter(DescriptorOutput(writing), on_failure=told.fail)
        os.close(reading)
        writer.put(b"a\n")

        with pytest.raises(TimeoutError):
            await writer.written(_SHORT_SECONDS)
        assert await asyncio.to_thread(told.failed.wait, _LONG_SECONDS)
        assert told.failures == ["EPIPE"]
        writer.close(_LONG_SECONDS)


async def test_a_descriptor_that_is_only_readable_never_counts_as_written(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.touch()
    descriptor = os.open(file, os.O_RDONLY)
    told = _Told()
    writer = LineWriter(DescriptorOutput(descriptor), on_failure=told.fail)
    writer.put(b"a\n")

    with pytest.raises(TimeoutError):
        await writer.written(_SHORT_SECONDS)

    assert await asyncio.to_thread(told.failed.wait, _LONG_SECONDS)
    assert told.failures == ["EBADF"]
    writer.close(_LONG_SECONDS)
    os.close(descriptor)


async def test_a_full_disk_never_counts_as_written() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    told = _Told()
    writer = LineWriter(DescriptorOutput(descriptor), on_failure=told.fail)
    writer.put(b"a\n")

    with pytest.raises(TimeoutError):
        await writer.written(_SHORT_SECONDS)

    assert await asyncio.to_thread(told.failed.wait, _LONG_SECONDS)
    assert told.failures == ["ENOSPC"]
    writer.close(_LONG_SECONDS)
    os.close(descriptor)


async def test_lines_arrive_once_and_whole_when_writes_fail_in_between(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    writer = LineWriter(_StutteringFile(file))
    lines = _lines(10)
    for line in lines:
        writer.put(line)

    await writer.written(_LONG_SECONDS)

    assert file.read_bytes() == b"".join(lines)
    writer.close(_LONG_SECONDS)


async def test_the_end_of_a_failure_is_told(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    file.symlink_to("/dev/full")
    told = _Told()
    writer = LineWriter(SyncedFile(file), on_failure=told.fail, on_recovery=told.recovered.set)
    writer.put(b"a\n")
    assert await asyncio.to_thread(told.failed.wait, _LONG_SECONDS)

    file.unlink()

    await writer.written(_LONG_SECONDS)
    assert (file.read_bytes(), told.failures) == (b"a\n", ["ENOSPC"])
    assert await asyncio.to_thread(told.recovered.wait, _LONG_SECONDS)
    writer.close(_LONG_SECONDS)


async def test_what_comes_at_once_shares_the_way_to_the_disk(tmp_path: Path) -> None:
    file = _CountingFile(tmp_path / "audit.log")
    writer = LineWriter(file)

    async def put_and_wait(line: bytes) -> None:
        writer.put(line)
        await writer.written(_LONG_SECONDS)

    await asyncio.gather(*map(put_and_wait, _lines(50)))

    assert (tmp_path / "audit.log").read_bytes() == b"".join(_lines(50))
    assert file.count <= 10
    writer.close(_LONG_SECONDS)


async def test_who_waits_does_not_wait_for_later_lines() -> None:
    with _pipe() as (reading, writing):
        writer = LineWriter(DescriptorOutput(writing))
        for line in _lines(5_000):
            writer.put(line)
        waiting = asyncio.create_task(writer.written(_LONG_SECONDS))
        await asyncio.sleep(0)
        later = _lines(20_000)
        for line in later:
            writer.put(line)

        # The last of them may share a write of up to 256 KiB with later lines; the rest are more
        # than a pipe holds.
        await asyncio.to_thread(_read_lines, reading, 17_500)

        await waiting
        with pytest.raises(TimeoutError):
            await writer.written(_SHORT_SECONDS)
        os.close(reading)
        writer.close(_SHORT_SECONDS)


def test_there_is_no_room_when_too_much_waits() -> None:
    with _pipe() as (_, writing):
        writer = LineWriter(DescriptorOutput(writing), max_waiting_bytes=100_000)
        line = b"x" * 999 + b"\n"
        count = 0
        while writer.has_room():
            writer.put(line)
            count += 1

        assert 100 <= count <= 170  # 100 kB wait, and up to 64 KiB are in the pipe
        writer.close(_SHORT_SECONDS)


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    writer = LineWriter(SyncedFile(file))
    for line in _lines(100):
        writer.put(line)

    writer.close(_LONG_SECONDS)

    assert file.read_bytes() == b"".join(_lines(100))


def test_closing_gives_up_a_pipe_that_nobody_reads() -> None:
    with _pipe() as (_, writing):
        writer = LineWriter(DescriptorOutput(writing))
        writer.put(_lines(1, 200_000)[0])

        writer.close(_SHORT_SECONDS)
        writer.close(_SHORT_SECONDS)


async def test_lines_of_several_threads_do_not_mix() -> None:
    with _pipe() as (reading, writing):
        writer = LineWriter(DescriptorOutput(writing))
        lines = _lines(500, 300)

        def put() -> None:
            for line in lines:
                writer.put(line)

        threads = [threading.Thread(target=put) for _ in range(4)]
        for thread in threads:
            thread.start()
        got = await asyncio.to_thread(_read_lines, reading, 2_000)

        assert sorted(got) == sorted(lines * 4)
        for thread in threads:
            thread.join()
        writer.close(_LONG_SECONDS)
