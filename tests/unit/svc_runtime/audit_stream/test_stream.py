"""A service's audited lines are a chain, and what waits for one does not happen without it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import structlog

from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.audit_stream.line_writer import LineWriter
from svc_runtime.audit_stream.outputs import DescriptorOutput, SyncedFile
from svc_runtime.audit_stream.settings import AuditStreamSettings
from svc_runtime.audit_stream.stream import AuditStream, open_audit_stream
from svc_runtime.settings_models import SettingsError
from tests.unit.svc_runtime.audit_stream.chain_lines import chained, chained_in, parsed
from tests.unit.svc_runtime.audit_stream.log_stage import logs_to

_LONG_SECONDS = 20.0
_SHORT_SECONDS = 0.05
_log = structlog.get_logger()


@contextmanager
def _stream_in(
    audited: Path, plain: Path, max_waiting_bytes: int = 1_000_000
) -> Iterator[AuditStream]:
    """A stream whose audited lines go to one file, and all others to another."""
    descriptor = os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    writer = LineWriter(SyncedFile(audited), max_waiting_bytes=max_waiting_bytes)
    stream = AuditStream("test-svc", writer, LineWriter(DescriptorOutput(descriptor)))
    with logs_to(stream):
        yield stream
        stream.close()
    os.close(descriptor)


async def test_audited_events_are_a_chain(tmp_path: Path) -> None:
    with _stream_in(tmp_path / "audit", tmp_path / "log") as stream:
        stream.open()
        _log.info("serving", count=2)
        stream.end()
        await stream.flushed(_LONG_SECONDS)

        lines = chained_in(tmp_path / "audit")

    events = ["audit_stream_opened", "serving", "audit_stream_closed"]
    assert [line["event"] for line in lines] == events
    assert (stream.head.seq, stream.head.chain) == (3, lines[0]["chain"])


async def test_other_events_are_not_in_the_chain(tmp_path: Path) -> None:
    with _stream_in(tmp_path / "audit", tmp_path / "log") as stream:
        _log.info("vault_login", ttl_seconds=900)
        _log.info("serving", count=2)

    [plain] = parsed((tmp_path / "log").read_bytes())
    assert (plain["event"], "chain" in plain) == ("vault_login", False)
    assert stream.head.seq == 1


async def test_without_a_file_the_chain_stands_among_the_other_lines(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    writer = LineWriter(DescriptorOutput(descriptor))
    stream = AuditStream("test-svc", writer, writer)
    with logs_to(stream):
        stream.open()
        _log.info("vault_login", ttl_seconds=900)
        stream.end()
    stream.close()
    os.close(descriptor)

    data = (tmp_path / "log").read_bytes()
    events = ["audit_stream_opened", "vault_login", "audit_stream_closed"]
    assert [line["event"] for line in parsed(data)] == events
    assert [line["seq"] for line in chained(data)] == [1, 2]


async def test_what_cannot_be_written_does_not_happen(tmp_path: Path) -> None:
    (tmp_path / "audit").symlink_to("/dev/full")
    with _stream_in(tmp_path / "audit", tmp_path / "log") as stream:
        _log.info("serving", count=2)

        with pytest.raises(AuditUnavailableError):
            await stream.flushed(_SHORT_SECONDS)


async def test_a_pipe_that_nobody_reads_does_not_hold_up_the_service(tmp_path: Path) -> None:
    fifo = tmp_path / "audit"
    os.mkfifo(fifo)
    with _stream_in(fifo, tmp_path / "log") as stream:
        for _ in range(1000):
            _log.info("serving", count=2)

        with pytest.raises(AuditUnavailableError):
            await stream.flushed(_SHORT_SECONDS)
        reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        data = b""
        while data.count(b"\n") < 1000:
            await asyncio.sleep(0)
            with suppress(BlockingIOError):
                data += os.read(reading, 65536)
        os.close(reading)
        await stream.flushed(_LONG_SECONDS)

    assert len(chained(data)) == 1000


async def test_the_chain_goes_on_once_the_disk_has_room_again(tmp_path: Path) -> None:
    file = tmp_path / "audit"
    file.symlink_to("/dev/full")
    with _stream_in(file, tmp_path / "log") as stream:
        stream.open()
        with pytest.raises(AuditUnavailableError):
            await stream.flushed(_SHORT_SECONDS)

        file.unlink()
        _log.info("serving", count=2)
        await stream.flushed(_LONG_SECONDS)

        assert [line["event"] for line in chained_in(file)] == ["audit_stream_opened", "serving"]


async def test_lines_that_do_not_fit_into_memory_are_counted_in_the_chain(tmp_path: Path) -> None:
    file = tmp_path / "audit"
    file.symlink_to("/dev/full")
    with _stream_in(file, tmp_path / "log", max_waiting_bytes=2_000) as stream:
        for _ in range(20):
            _log.info("serving", count=2)
        kept = stream.head.seq
        with pytest.raises(AuditUnavailableError):
            await stream.flushed(_LONG_SECONDS)  # at once: the last line is lost

        file.unlink()
        while stream.head.seq == kept:
            await asyncio.sleep(0)
            _log.info("stopping")
        await stream.flushed(_LONG_SECONDS)
        lines = chained_in(file)

    assert {line["event"] for line in lines[:kept]} == {"serving"}
    assert lines[kept]["event"] == "audit_lines_lost"
    assert lines[kept]["count"] >= 20 - kept
    assert lines[kept + 1]["event"] == "stopping"


async def test_lost_lines_are_told_without_waiting_for_another_line(tmp_path: Path) -> None:
    file = tmp_path / "audit"
    file.symlink_to("/dev/full")
    with _stream_in(file, tmp_path / "log", max_waiting_bytes=2_000) as stream:
        for _ in range(20):
            _log.info("serving", count=2)
        kept = stream.head.seq
        stream.tell_lost()
        assert stream.head.seq == kept  # there is no room yet

        file.unlink()
        while stream.head.seq == kept:
            await asyncio.sleep(0)
            stream.tell_lost()
        await stream.flushed(_LONG_SECONDS)
        stream.tell_lost()
        last = chained_in(file)[-1]

    assert (last["event"], last["count"], last["seq"]) == ("audit_lines_lost", 20 - kept, kept + 1)


async def test_a_file_that_was_moved_away_is_left_for_a_new_one(tmp_path: Path) -> None:
    file = tmp_path / "audit"
    with _stream_in(file, tmp_path / "log") as stream:
        stream.open()
        await stream.flushed(_LONG_SECONDS)
        file.rename(tmp_path / "audit.1")
        _log.info("serving", count=2)
        await stream.flushed(_LONG_SECONDS)

    data = (tmp_path / "audit.1").read_bytes() + file.read_bytes()
    assert [line["event"] for line in chained(data)] == ["audit_stream_opened", "serving"]
    assert len(parsed(file.read_bytes())) == 1


async def test_a_line_that_a_crash_has_cut_off_is_ended_first(tmp_path: Path) -> None:
    file = tmp_path / "audit"
    file.write_bytes(b'{"event": "rp')
    with _stream_in(file, tmp_path / "log") as stream:
        stream.open()
        await stream.flushed(_LONG_SECONDS)

    before, *lines = file.read_bytes().splitlines(keepends=True)
    assert before == b'{"event": "rp\n'
    assert len(chained(b"".join(lines))) == 1


def test_a_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    SyncedFile(tmp_path / "audit").close()

    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_opened_is_told_by_its_setting(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = AuditStreamSettings(file=tmp_path / "missing" / "audit")
    with capfd.disabled(), pytest.raises(SettingsError, match=r"audit_stream\.file: .*No such"):
        open_audit_stream("test-svc", settings)
