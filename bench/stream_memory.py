"""What memory a gateway takes for each stream that it passes on, over HTTPS and over gRPC.

Starts a local stack of its own with two gateways, one for each surface, so that both begin fresh
and run side by side. Opens more and more streams, which stay open with the first events through,
and reads what the gateways hold. Then lets all of them flow at once, and reads the most they held.

    .venv/bin/python bench/stream_memory.py --streams 100 500 1000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc

from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream

Stream = Callable[[], Awaitable[int]]
BODY = json.dumps(
    {
        "model": "gpt-4o-many-paced",
        "stream": True,
        "messages": [{"role": "user", "content": "count"}],
    }
).encode()
EVENTS = 54  # of each stream: a role, 50 numbers, a reason to finish, the usage, the end
PATIENCE_SECONDS = 300.0
WARM_UP = 20
STREAMS_PER_CHANNEL = 100  # of gRPC; over HTTP each stream has a connection
FILES_PER_STREAM = 6


@dataclass
class Way:
    """One surface: the gateway that serves it, and the streams that are open there.

    Attributes:
        name: What the table calls it.
        pid: Process id of its gateway.
        stream: Opens a stream and reads it to its end; returns how many bytes came.
        idle_kib: What the gateway holds without a stream.
        open: The streams.
    """

    name: str
    pid: int
    stream: Stream
    idle_kib: int = 0
    open: list[asyncio.Task[int]] = field(default_factory=list)

    def memory_kib(self, entry: str = "VmRSS") -> int:
        """Return what the gateway holds, or with `VmHWM` the most that it held."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        [line] = [line for line in status.splitlines() if line.startswith(f"{entry}:")]
        return int(line.split()[1])

    def grow_to(self, streams: int) -> None:
        """Open streams until there are so many."""
        self.open += [asyncio.ensure_future(self.stream()) for _ in range(streams - len(self.open))]


class Standin:
    """The brake of the stand-in for OpenAI."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def let_go(self, events: int) -> None:
        """Let so many events go; streams that wait are served in turn."""
        async with self._http.post("/standin/release", params={"n": str(events)}) as response:
            response.raise_for_status()

    async def until(self, name: str, count: int) -> None:
        """Wait until the stand-in has counted so many."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                async with self._http.get("/standin/progress") as response:
                    if (await response.json())[name] >= count:
                        return
                await asyncio.sleep(0.1)


def http_stream(session: aiohttp.ClientSession) -> Stream:
    """Return a stream over HTTPS."""

    async def stream() -> int:
        headers = {"content-type": "application/json"}
        async with session.post("/v1/chat/completions", data=BODY, headers=headers) as response:
            response.raise_for_status()
            return sum([len(piece) async for piece in response.content.iter_any()])

    return stream


def grpc_stream(channels: list[grpc.aio.Channel]) -> Stream:
    """Return a stream over gRPC, which takes the *channels* in turn."""
    request = pass_pb.StreamCallRequest(
        request=pass_pb.UpstreamRequest(method="POST", path="chat/completions", body=BODY)
    )
    stubs = [PassThroughServiceStub(channel) for channel in channels]

    async def stream() -> int:
        stubs.append(stub := stubs.pop(0))
        call = stub.StreamCall(request, timeout=PATIENCE_SECONDS)
        return sum([len(part.body) async for part in call])

    return stream


async def opened_ways(stack: LocalStack, opened: AsyncExitStack, streams: int) -> list[Way]:
    """Return both surfaces, with clients that can open so many *streams* on each."""
    certificate, key = stack.layout.certificate("app-demo")
    tls = ssl.create_default_context(cafile=stack.layout.ca_file)
    tls.load_cert_chain(certificate, key)
    session = await opened.enter_async_context(
        aiohttp.ClientSession(
            f"https://127.0.0.1:{stack.ports['gateway-http']}",
            connector=aiohttp.TCPConnector(ssl=tls, limit=0),
            timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS),
        )
    )
    credentials = grpc.ssl_channel_credentials(
        stack.layout.ca_file.read_bytes(), key.read_bytes(), certificate.read_bytes()
    )
    channels = [
        await opened.enter_async_context(
            grpc.aio.secure_channel(
                f"127.0.0.1:{stack.ports['gateway-2-grpc']}",
                credentials,
                options=(("grpc.use_local_subchannel_pool", 1),),
            )
        )
        for _ in range(-(-streams // STREAMS_PER_CHANNEL))
    ]
    pids = [stack.services[name].pid for name in ("gateway-svc", "gateway-svc-2")]
    assert all(pids)
    return [
        Way("HTTPS", pids[0] or 0, http_stream(session)),
        Way("gRPC", pids[1] or 0, grpc_stream(channels)),
    ]


async def measure(stack: LocalStack, steps: list[int]) -> None:
    """Print the table."""
    async with AsyncExitStack() as opened:
        control = f"http://127.0.0.1:{stack.ports['openai-standin']}"
        standin = Standin(await opened.enter_async_context(aiohttp.ClientSession(control)))
        ways = await opened_ways(stack, opened, steps[-1])
        await standin.let_go(WARM_UP * len(ways) * EVENTS)
        await asyncio.gather(*(way.stream() for way in ways for _ in range(WARM_UP)))
        events = WARM_UP * len(ways) * EVENTS
        print(f"{'streams':>8} {'':6} {'MiB':>7} {'KiB a stream':>13} {'x HTTPS':>8}")
        for way in ways:
            way.idle_kib = way.memory_kib()
            print(f"{0:8} {way.name:6} {way.idle_kib / 1024:7.1f}")
        for streams in steps:
            for way in ways:
                way.grow_to(streams)
            await standin.until("open_requests", streams * len(ways))
            events += streams * len(ways)
            await standin.let_go(streams * len(ways))  # one event of each
            await standin.until("events", events)
            report(str(streams), ways, streams, "VmRSS")
        for _ in ways:
            await standin.let_go(steps[-1] * EVENTS)
        read = {await stream for way in ways for stream in way.open}
        assert len(read) <= 2 * len(ways), "streams of one surface differ in length"
        report("flowing", ways, steps[-1], "VmHWM")


def report(label: str, ways: list[Way], streams: int, entry: str) -> None:
    """Print what each gateway holds for so many *streams*."""
    grown = {way.name: (way.memory_kib(entry) - way.idle_kib) / streams for way in ways}
    base = grown[ways[0].name]
    for way in ways:
        held, each = way.memory_kib(entry) / 1024, grown[way.name]
        print(f"{label:>8} {way.name:6} {held:7.1f} {each:13.1f} {each / base:8.2f}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--streams", type=int, nargs="+", default=[100, 500, 1000], help="at most 1,000 each"
    )
    steps = sorted(parser.parse_args().streams)
    if not 1 <= steps[0] <= steps[-1] <= 1000:
        parser.error("--streams must be 1 to 1,000")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < steps[-1] * FILES_PER_STREAM:
        parser.error(f"this needs {steps[-1] * FILES_PER_STREAM} open files: see ulimit -Hn")
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Path(folder) / "home", Upstream.of({}), replicas=2) as stack,
    ):
        asyncio.run(measure(stack, steps))


if __name__ == "__main__":
    main()
