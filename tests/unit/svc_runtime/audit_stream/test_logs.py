"""The logs of a process, from its first line to its last."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.unit.svc_runtime.audit_stream.chain_lines import chained, parsed

_TIMEOUT_SECONDS = 30
_PROGRAM = """
import asyncio, sys
from pathlib import Path
import structlog
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.audit_stream.logs import audited_logs
from svc_runtime.audit_stream.settings import AuditStreamSettings
from svc_runtime.log_events import RUNTIME_EVENTS

class Settings:
    log_level = "info"
    audit_stream = AuditStreamSettings(file=Path(sys.argv[1]) if sys.argv[1:] else None)

async def main():
    with audited_logs("test-svc", Settings(), RUNTIME_EVENTS) as stream:
        structlog.get_logger().info("vault_login", ttl_seconds=900)
        structlog.get_logger().info("serving", count=2)
        try:
            await stream.flushed(0.5)
        except AuditUnavailableError as error:
            sys.stderr.write(error.reason)
    raise RuntimeError("canary")

asyncio.run(main())
"""


def _run(stdout: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )


def _events(data: bytes) -> list[str]:
    return [line["event"] for line in parsed(data)]


def test_standard_output_has_every_line_also_what_ends_the_process() -> None:
    done = _run(subprocess.PIPE)

    events = ["audit_stream_opened", "vault_login", "serving", "uncaught_exception"]
    assert _events(done.stdout) == events
    assert len(chained(done.stdout)) == 2
    assert done.stderr == b""


def test_a_file_has_the_audited_lines_and_standard_output_all_others(tmp_path: Path) -> None:
    done = _run(subprocess.PIPE, str(tmp_path / "audit"))

    assert _events(done.stdout) == ["vault_login", "uncaught_exception"]
    assert _events((tmp_path / "audit").read_bytes()) == ["audit_stream_opened", "serving"]


def test_a_full_disk_is_told_and_the_process_can_end() -> None:
    with Path("/dev/full").open("wb") as full:
        done = _run(full.fileno())

    assert done.stderr == b"AUDIT_UNAVAILABLE"


def test_a_reader_that_has_gone_is_told_and_the_process_can_end() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = _run(writing)
    os.close(writing)

    assert done.stderr == b"AUDIT_UNAVAILABLE"


async def test_a_reader_that_does_not_read_is_told_and_the_process_can_end(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        pass  # it is full, and nobody reads
    os.set_blocking(descriptor, True)

    done = await asyncio.to_thread(_run, descriptor)

    os.close(descriptor)
    assert done.stderr == b"AUDIT_UNAVAILABLE"


def test_a_file_that_can_only_be_read_stops_the_start(tmp_path: Path) -> None:
    done = _run(subprocess.PIPE, str(tmp_path))

    assert b"audit_stream.file" in done.stderr
    assert done.stdout == b""
