"""What a call costs each process of a stack: processor, memory, requests to Vault, lines of logs.

Starts a local stack of its own and makes short chat completions through the gateway, over HTTPS and
over gRPC, as many a second as asked for. The processor time is that of OpenBao, the key service and
the gateway, as the kernel counts it.

    .venv/bin/python bench/call_cost.py --calls 1000 --rate 50
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import grpc

from keyturn.gateway.v1 import chat_completion_pb2 as chat_pb
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream

Call = Callable[[], Awaitable[None]]
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
WARM_UP = 100
SETTLING_SECONDS = 2.0  # until the settlements of the last calls are through
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Part:
    """One process of the stack, and the log that it writes."""

    name: str
    pid: int
    log: Path

    def cpu_seconds(self) -> float:
        """Return the processor time that it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / TICKS

    def memory_mib(self) -> float:
        """Return the memory that it holds."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


@dataclass(frozen=True)
class Cost:
    """What all parts had taken at one time."""

    cpu: dict[str, float]
    log_bytes: dict[str, int]
    vault_requests: int

    @classmethod
    def now(cls, parts: list[Part]) -> Cost:
        """Look at *parts*; the first is Vault."""
        with parts[0].log.open("rb") as log:
            requests = sum(1 for line in log if b'"type":"request"' in line)
        return cls(
            {part.name: part.cpu_seconds() for part in parts},
            {part.name: part.log.stat().st_size for part in parts},
            requests,
        )


async def https_call(stack: LocalStack, opened: AsyncExitStack) -> Call:
    """Return a chat completion over HTTPS."""
    tls = ssl.create_default_context(cafile=stack.layout.ca_file)
    tls.load_cert_chain(*stack.layout.certificate("app-demo"))
    session = await opened.enter_async_context(
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls))
    )
    url = f"https://127.0.0.1:{stack.ports['gateway-http']}/v1/chat/completions"
    headers = {"content-type": "application/json"}
    body = json.dumps(BODY).encode()

    async def call() -> None:
        async with session.post(url, data=body, headers=headers) as response:
            await response.read()
            response.raise_for_status()

    return call


async def grpc_call(stack: LocalStack, opened: AsyncExitStack) -> Call:
    """Return a chat completion over gRPC."""
    certificate, key = (path.read_bytes() for path in stack.layout.certificate("app-demo"))
    credentials = grpc.ssl_channel_credentials(stack.layout.ca_file.read_bytes(), key, certificate)
    address = f"127.0.0.1:{stack.ports['gateway-grpc']}"
    channel = await opened.enter_async_context(grpc.aio.secure_channel(address, credentials))
    stub = ChatCompletionServiceStub(channel)
    request = chat_service_pb.CreateChatCompletionRequest(
        parameters=chat_service_pb.ChatCompletionParameters(
            model="gpt-4o-mini", messages=[chat_pb.ChatMessage(role="user", content="hello")]
        )
    )

    async def call() -> None:
        await stub.CreateChatCompletion(request, timeout=30)

    return call


async def paced(call: Call, calls: int, rate: float) -> list[float]:
    """Make *calls* at *rate* a second; return how long each took."""
    taken: list[float] = []

    async def one() -> None:
        start = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - start)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
            group.create_task(one())
    return taken


def parts_of(stack: LocalStack) -> list[Part]:
    """Return the processes to look at, Vault first."""
    services = {name: stack.services[name].pid for name in ("keyvault-svc", "gateway-svc")}
    pids = {"openbao": stack.openbao.pid, **services}
    logs = {"openbao": stack.openbao.audit_log} | {
        name: stack.layout.logs_dir / f"{name}.log" for name in services
    }
    return [Part(name, pid, logs[name]) for name, pid in pids.items() if pid]


async def measure(stack: LocalStack, calls: int, rate: float) -> None:
    """Print the tables."""
    parts = parts_of(stack)
    async with AsyncExitStack() as opened:
        ways = {
            "HTTPS": await https_call(stack, opened),
            "gRPC": await grpc_call(stack, opened),
        }
        for call in ways.values():
            await paced(call, WARM_UP, rate)
        for way, call in ways.items():
            await asyncio.sleep(SETTLING_SECONDS)
            before, start = Cost.now(parts), time.perf_counter()
            taken = await paced(call, calls, rate)
            seconds = time.perf_counter() - start
            await asyncio.sleep(SETTLING_SECONDS)
            after = Cost.now(parts)
            p50, p99 = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
            times = f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms"
            print(f"{way}: {calls / seconds:.0f} calls/s, {times}")
            requests = after.vault_requests - before.vault_requests
            print(f"  requests to Vault: {requests / calls:.2f} a call")
            for part in parts:
                cpu = (after.cpu[part.name] - before.cpu[part.name]) / calls * 1e3
                logged = (after.log_bytes[part.name] - before.log_bytes[part.name]) / calls
                print(
                    f"  {part.name:14} {cpu:6.2f} ms CPU a call {logged:8.0f} B logged a call"
                    f" {part.memory_mib():7.0f} MiB"
                )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1000, help="of each way, 100 to 100,000")
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second, 1 to 1,000")
    arguments = parser.parse_args()
    if not 100 <= arguments.calls <= 100_000 or not 1 <= arguments.rate <= 1000:
        parser.error("--calls must be 100 to 100,000, --rate 1 to 1,000")
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Path(folder) / "home", Upstream.of({})) as stack,
    ):
        asyncio.run(measure(stack, arguments.calls, arguments.rate))


if __name__ == "__main__":
    main()
