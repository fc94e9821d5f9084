"""The stand-in held by its brake, and the gateway's memory: what tests of streams look at."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.e2e.clients import Clients

_POLL_SECONDS = 0.05
_STILL_POLLS = 10  # without a byte, until nothing is taken to move any more
_LIMIT_SECONDS = 60.0


@dataclass(frozen=True)
class Standin:
    """The control paths of the stand-in for OpenAI."""

    _http: aiohttp.ClientSession

    async def progress(self) -> dict[str, int]:
        """Return the counts."""
        async with self._http.get("/standin/progress") as response:
            counts: dict[str, int] = await response.json()
        return counts

    async def release(self, events: int = 1) -> None:
        """Let so many events of paced streams go."""
        async with self._http.post("/standin/release", params={"n": str(events)}) as response:
            assert response.status == 200

    async def until(self, is_reached: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """Wait until the counts are such; return them."""
        async with asyncio.timeout(_LIMIT_SECONDS):
            while True:
                counts = await self.progress()
                if is_reached(counts):
                    return counts
                await asyncio.sleep(_POLL_SECONDS)

    async def until_still(self) -> int:
        """Wait until no more bytes are written; return how many were."""
        seen: list[int] = []

        def is_still(counts: dict[str, int]) -> bool:
            seen.append(counts["bytes_written"])
            return len(seen) > _STILL_POLLS and len(set(seen[-_STILL_POLLS:])) == 1

        return (await self.until(is_still))["bytes_written"]


@asynccontextmanager
async def standin(clients: Clients) -> AsyncIterator[Standin]:
    """Take hold of the stand-in of *clients*' stack, with its counts at zero."""
    port = clients.stack.ports["openai-standin"]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        control = Standin(http)
        # Requests that the test before left must not end in this one's counts.
        await control.until(lambda counts: counts["open_requests"] == 0)
        async with http.post("/standin/reset") as response:
            assert response.status == 200
        yield control


def gateway_pid(clients: Clients) -> int:
    """Return the process id of the first gateway."""
    pid = clients.stack.services["gateway-svc"].pid
    assert pid is not None
    return pid


def resident_kib(pid: int) -> int:
    """Return how much memory the process *pid* holds, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1])


def allow_many_files(clients: Clients) -> None:
    """Let this process, the first gateway and the stand-in open as many files as they may."""
    standin_pid = clients.stack.services["openai-standin"].pid
    assert standin_pid is not None
    for pid in (os.getpid(), gateway_pid(clients), standin_pid):
        _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
