"""What it costs that a lease waits for its audited line, beside a line that nobody waits for.

In this process, without Vault and gRPC: the line that a lease writes, and the wait for it. It goes
without a chain to a file that is not synced, as a log without an audit stream would; in a chain to
a pipe that is read, as standard output of a container is; and in a chain to a file whose writes
wait for the disk. The three take turns in small blocks, so that whatever else the machine does
falls on all alike.

    .venv/bin/python bench/audit_stream.py --callers 50
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from keyvault_svc.log_events import EVENTS
from svc_runtime.audit_stream.line_writer import LineWriter
from svc_runtime.audit_stream.outputs import DescriptorOutput, SyncedFile
from svc_runtime.audit_stream.stream import AuditStream
from svc_runtime.log_output import LineOutput, StreamOutput
from svc_runtime.logging_setup import configure_logging

BLOCK = 200
WARM_UP_BLOCKS = 2
WAIT_SECONDS = 30.0
SERVICE = "keyvault-svc"

log = structlog.get_logger()


class CountingFile(SyncedFile):
    """A file that counts how often it waits for the disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.count = 0

    def write(self, data: bytes | memoryview) -> int:
        """Write to disk."""
        self.count += 1
        return super().write(data)


@dataclass
class Way:
    """One way to write the line.

    Attributes:
        output: Where lines go.
        wait: Awaited after each.
        seconds: Of each lease's line.
        cpu_seconds: Of the process, all blocks together.
    """

    name: str
    output: LineOutput
    wait: Callable[[], Awaitable[None]]
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0

    async def run_block(self, callers: int) -> None:
        """Write a block of lines, *callers* of them at a time."""
        configure_logging(SERVICE, events=EVENTS, output=self.output)
        slots = asyncio.Semaphore(callers)
        start = time.process_time()
        await asyncio.gather(*(self._lease(slots) for _ in range(BLOCK)))
        self.cpu_seconds += time.process_time() - start

    async def _lease(self, slots: asyncio.Semaphore) -> None:
        async with slots:
            start = time.perf_counter()
            log.info(
                "lease_release",
                request_id="0f3f78b775e040c28dbc45a6f494079c",
                lease="0199f3a1c2d47c3e9a5b1d2e3f405162",
                key="users/alice/keys/openai",
                key_version=3,
                grant="users/alice/keys/openai/grants/f223a56ed06959bd",
                app="spiffe://keyturn.example/app/assistant",
            )
            await self.wait()
            self.seconds.append(time.perf_counter() - start)


async def nothing() -> None:
    """Wait for nothing."""


async def measure(folder: Path, blocks: int, callers: int) -> None:
    """Measure all ways, and print what they cost."""
    reading, writing = os.pipe()
    reader = threading.Thread(target=drain, args=(reading,), daemon=True)
    reader.start()
    pipe_writer = LineWriter(DescriptorOutput(writing))
    pipe = AuditStream(SERVICE, pipe_writer, pipe_writer)
    synced = CountingFile(folder / "audit.jsonl")
    file_writer = LineWriter(synced)
    file = AuditStream(SERVICE, file_writer, pipe_writer)
    with (folder / "plain.log").open("w", encoding="utf-8") as plain:
        ways = [
            Way("without", StreamOutput(plain), nothing),
            Way("standard output", pipe, lambda: pipe.flushed(WAIT_SECONDS)),
            Way("synced file", file, lambda: file.flushed(WAIT_SECONDS)),
        ]
        for block in range(blocks + WARM_UP_BLOCKS):
            if block == WARM_UP_BLOCKS:
                for way in ways:
                    way.seconds.clear()
                    way.cpu_seconds = 0.0
                synced.count = 0
            for way in ways:
                await way.run_block(callers)
    structlog.reset_defaults()
    show(ways, synced.count, callers)
    pipe.close()
    file.close()
    os.close(writing)
    reader.join()


def drain(reading: int) -> None:
    """Read a pipe to its end."""
    while os.read(reading, 65536):
        pass
    os.close(reading)


def show(ways: list[Way], sync_count: int, callers: int) -> None:
    """Print what was measured."""
    print(f"{callers} leases at a time, {len(ways[0].seconds)} each way")
    for way in ways:
        ranked = sorted(way.seconds)
        median, late = statistics.median(ranked), ranked[int(len(ranked) * 0.99)]
        cpu = way.cpu_seconds / len(ranked)
        print(
            f"  {way.name:16} median {median * 1e6:9.1f} us   p99 {late * 1e6:9.1f} us"
            f"   CPU {cpu * 1e6:7.1f} us per lease"
        )
    print(f"  writes that waited for the disk: {sync_count / len(ways[-1].seconds):.3f} per lease")


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=20, help=f"of {BLOCK} leases each")
    parser.add_argument("--callers", type=int, default=50, help="leases at a time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for callers in sorted({1, arguments.callers}):
            asyncio.run(measure(Path(folder), arguments.blocks, callers))


if __name__ == "__main__":
    main()
