"""What a call through Keyturn costs, beside the same call made directly.

Starts a local stack of its own, then makes the same chat completion three ways in turn, so that
whatever else the machine does falls on all of them alike: straight to the OpenAI stand-in, through
the gateway over HTTPS, and through the gateway over gRPC. One client, then several.

With `--traced` the same is made through a second stack, which traces every call and sends the
spans to a receiver, so that the cost of traces stands side by side with none.

    .venv/bin/python bench/gateway_overhead.py --calls 300 --clients 16 --traced
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path

import aiohttp
import grpc

from keyturn.gateway.v1 import chat_completion_pb2 as chat_pb
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream

Call = Callable[[], Awaitable[None]]
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
WARM_UP = 50


def http_call(session: aiohttp.ClientSession, url: str, bearer: bytes) -> Call:
    """Return a chat completion over HTTP."""
    headers = {
        "authorization": "Bearer " + bearer.decode(),
        "content-type": "application/json",
    }
    body = json.dumps(BODY).encode()

    async def call() -> None:
        async with session.post(f"{url}/chat/completions", data=body, headers=headers) as response:
            await response.read()
            response.raise_for_status()

    return call


def grpc_call(channel: grpc.aio.Channel) -> Call:
    """Return a chat completion over gRPC."""
    stub = ChatCompletionServiceStub(channel)
    request = chat_service_pb.CreateChatCompletionRequest(
        parameters=chat_service_pb.ChatCompletionParameters(
            model="gpt-4o-mini", messages=[chat_pb.ChatMessage(role="user", content="hello")]
        )
    )

    async def call() -> None:
        await stub.CreateChatCompletion(request, timeout=30)

    return call


async def seconds(call: Call) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    await call()
    return time.perf_counter() - start


async def rate(call: Call, calls: int, clients: int) -> float:
    """Return calls per second of *clients* that call one after the other."""

    async def client() -> None:
        for _ in range(calls // clients):
            await call()

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return calls // clients * clients / (time.perf_counter() - start)


async def ways_through(stack: LocalStack, prefix: str, opened: AsyncExitStack) -> dict[str, Call]:
    """Return the calls through the gateway of *stack*, by name."""
    certificate, key = (path.read_bytes() for path in stack.layout.certificate("app-demo"))
    ca = stack.layout.ca_file
    tls = ssl.create_default_context(cafile=ca)
    tls.load_cert_chain(*stack.layout.certificate("app-demo"))
    session = await opened.enter_async_context(
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls))
    )
    channel = await opened.enter_async_context(
        grpc.aio.secure_channel(
            f"127.0.0.1:{stack.ports['gateway-grpc']}",
            grpc.ssl_channel_credentials(ca.read_bytes(), key, certificate),
        )
    )
    gateway = f"https://127.0.0.1:{stack.ports['gateway-http']}/v1"
    return {
        f"{prefix}, HTTPS": http_call(session, gateway, b"placeholder"),
        f"{prefix}, gRPC": grpc_call(channel),
    }


async def measure(
    stacks: Mapping[str, LocalStack], upstream: Upstream, calls: int, clients: int
) -> None:
    """Print the table of *stacks* by their names; the first one's stand-in is called directly."""
    async with AsyncExitStack() as opened:
        session = await opened.enter_async_context(aiohttp.ClientSession())
        standin = next(iter(stacks.values())).ports["openai-standin"]
        direct = http_call(session, f"http://127.0.0.1:{standin}/v1", upstream.api_key.expose())
        ways = {"direct": direct}
        for name, stack in stacks.items():
            ways |= await ways_through(stack, name, opened)
        for call in ways.values():
            for _ in range(WARM_UP):
                await call()
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(calls):
            for way, call in ways.items():
                times[way].append(await seconds(call))
        rates = {way: await rate(call, calls, clients) for way, call in ways.items()}
    base = statistics.median(times["direct"])
    at_once = f"calls/s, {clients} clients"
    print(f"{'way':16} {'p50 ms':>8} {'p99 ms':>8} {'x direct':>9} {at_once:>22}")
    for way, measured in times.items():
        p50, p99 = statistics.median(measured), statistics.quantiles(measured, n=100)[98]
        print(f"{way:16} {p50 * 1e3:8.2f} {p99 * 1e3:8.2f} {p50 / base:9.1f} {rates[way]:22.0f}")


@contextmanager
def traced_stack(folder: Path, upstream: Upstream) -> Iterator[LocalStack]:
    """Run a stack that traces every call, and what takes the spans."""
    (port,) = free_ports(1)
    stack = LocalStack(folder / "traced", upstream)
    stack.variant = Variant(
        telemetry={
            "otlp_endpoint": f"https://127.0.0.1:{port}",
            "otlp_ca_file": str(stack.layout.ca_file),
            "trace_ratio": 1.0,
        }
    )
    with stack:
        certificate, key = stack.layout.certificate("gateway-svc")
        sink = [sys.executable, str(Path(__file__).with_name("otlp_sink.py"))]
        sink += ["--port", str(port), "--certificate", str(certificate), "--key", str(key)]
        with subprocess.Popen(sink) as process:
            try:
                yield stack
            finally:
                process.kill()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=300, help="calls of each way, at most 10,000")
    parser.add_argument("--clients", type=int, default=16, help="clients at once, at most 200")
    parser.add_argument("--traced", action="store_true", help="measure traces, too")
    arguments = parser.parse_args()
    if not 1 <= arguments.clients <= min(200, arguments.calls) or arguments.calls > 10_000:
        parser.error("--calls must be at most 10,000, --clients at most 200 and at most --calls")
    upstream = Upstream.of({})
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        home = Path(folder)
        stacks = {"gateway": running.enter_context(LocalStack(home / "plain", upstream))}
        if arguments.traced:
            stacks["traced"] = running.enter_context(traced_stack(home, upstream))
        asyncio.run(measure(stacks, upstream, arguments.calls, arguments.clients))


if __name__ == "__main__":
    main()
