"""A port that stops: who is served to the end, who is turned away, who is cut."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from svc_runtime import serving_port
from svc_runtime.serving_port import ServingPort
from tests.unit.svc_runtime.echo_port import echo_port
from tests.unit.svc_runtime.interceptors import loopback_tls
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Act,
    Context,
    LogTape,
    call_kind,
    do_nothing,
    finish,
    method_of,
    recording,
    start,
)

_LOOK_SECONDS = 0.01
_CALLERS = 20


@pytest.fixture(name="tape", autouse=True)
async def _tape(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LogTape]:
    monkeypatch.setattr(serving_port, "_LOOK_SECONDS", _LOOK_SECONDS)
    with recording() as tape:
        yield tape


class _Held:
    """Calls that wait for `release`."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()

    async def act(self, _context: Context) -> None:
        self.arrived.set()
        await self.release.wait()


async def _serving(act: Act = do_nothing) -> tuple[ServingPort, int]:
    port = echo_port(act)
    return port, await port.start()


async def test_clients_of_three_replicas_do_not_notice_that_two_stop() -> None:
    ports = [await _serving() for _ in range(3)]
    credentials = grpc.ssl_channel_credentials(
        loopback_tls.ca_pem(), *loopback_tls.issue((loopback_tls.APP,), ())
    )
    options = (
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.ssl_target_name_override", "localhost"),
    )
    targets = ",".join(f"127.0.0.1:{number}" for _, number in ports)
    codes: Counter[str] = Counter()
    called: asyncio.Queue[None] = asyncio.Queue()
    is_over = asyncio.Event()

    async def call_on(channel: grpc.aio.Channel) -> None:
        while not is_over.is_set():
            codes[(await call_kind(channel, "UnaryUnary")).code.name] += 1
            called.put_nowait(None)

    async def until_called(more: int) -> None:
        for _ in range(called.qsize() + more):
            await called.get()

    async with (
        grpc.aio.secure_channel(f"ipv4:{targets}", credentials, options=options) as channel,
        asyncio.TaskGroup() as callers,
    ):
        for _ in range(_CALLERS):
            callers.create_task(call_on(channel))
        for port, _ in ports[1:]:
            await until_called(10 * _CALLERS)
            await port.stop(20)
        await until_called(10 * _CALLERS)
        is_over.set()
    await ports[0][0].stop(0)

    assert set(codes) == {"OK"}


async def test_a_call_under_way_ends_and_nobody_else_gets_in() -> None:
    held = _Held()
    port, number = await _serving(held.act)
    async with loopback_tls.channel_to(number) as channel:
        call = start(channel, method_of("UnaryStream"))
        await held.arrived.wait()
        stopping = asyncio.create_task(port.stop(20))
        await _refused(number)
        held.release.set()
        reply = await finish(call)
        await stopping

    assert (reply.code, reply.messages) == (grpc.StatusCode.OK, [b"ping"] * 2)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_that_takes_too_long_is_cut_and_told_why(kind: str, tape: LogTape) -> None:
    held = _Held()
    port, number = await _serving(held.act)
    async with loopback_tls.channel_to(number) as channel:
        call = start(channel, method_of(kind))
        await held.arrived.wait()
        await port.stop(_LOOK_SECONDS)
        reply = await finish(call)

    assert (reply.code, reply.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_STOPPING")
    record = await tape.only_rpc()
    assert (record["code"], record["reason"]) == ("UNAVAILABLE", "SERVICE_STOPPING")


async def test_a_caller_that_gives_up_while_the_port_stops_is_a_cancelled_call(
    tape: LogTape,
) -> None:
    held = _Held()
    port, number = await _serving(held.act)
    async with loopback_tls.channel_to(number) as channel:
        call: Any = start(channel, method_of("UnaryUnary"))
        await held.arrived.wait()
        stopping = asyncio.create_task(port.stop(20))
        call.cancel()
        record = await tape.only_rpc()
    await stopping

    assert (record["code"], record["reason"]) == ("CANCELLED", None)


async def _refused(number: int) -> None:
    """Wait until nobody can connect any more."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", number)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue  # it came in while the port was about to listen no more
            writer.close()
            await asyncio.sleep(0)
