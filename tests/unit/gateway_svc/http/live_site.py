"""A site whose apps' WebSockets are connected to a fake OpenAI."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from gateway_svc.domain.lease_ports import LeaseRequest
from gateway_svc.domain.leases import Receipt
from gateway_svc.domain.live_relay import Live
from gateway_svc.http.connection import connections_for
from gateway_svc.http.websocket import check_handshake, serve_live
from svc_runtime.call_context import CallContext, bind_call
from svc_runtime.service_error import ServiceError
from tests.fakes.fake_key_leaser import FakeKeyLeaser
from tests.fakes.fake_live_side import FakeLiveSide
from tests.unit.gateway_svc.relay_stage import CALL, LEASE

RECEIPT: Final = Receipt("request-0001", "users/alice/keys/openai", 3, "grants/1", "0" * 32)
_KEY: Final = "AQIDBAUGBwgJCgsMDQ4PEA=="
HEAD: Final = {
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": _KEY,
}
CLOSE: Final = 8  # the opcode

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _live(openai: FakeLiveSide, subprotocol: str, refusal: ServiceError | None) -> Live:
    leaser = FakeKeyLeaser(refusal or LEASE)
    request = LeaseRequest(
        "request-0001", CALL.key, CALL.app, "WEBSOCKET", "realtime", "", "", b"", 0, 0, None
    )
    headers = (("x-request-id", "req-openai"), ("openai-version", "2020-10-01"))
    return Live(RECEIPT, subprotocol, headers, openai, leaser, request)


@asynccontextmanager
async def serving(
    handler: Handler, contexts: list[CallContext] | None = None
) -> AsyncIterator[str]:
    contexts = [] if contexts is None else contexts

    async def bound(request: web.BaseRequest) -> web.StreamResponse:
        with bind_call(CallContext("request-0001", "HTTP GET")) as call:
            contexts.append(call)
            return await handler(request)

    server = connections_for(bound, keepalive_timeout=5.0, lingering_time=0.1)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with asyncio.timeout(30):
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1/realtime"
    finally:
        await runner.cleanup()


class Stage:
    """A server that connects its one app to a fake OpenAI."""

    def __init__(self, subprotocol: str = "", refusal: ServiceError | None = None) -> None:
        self.openai = FakeLiveSide()
        self.live = _live(self.openai, subprotocol, refusal)
        self.ended = asyncio.Event()
        self.requests: list[web.BaseRequest] = []
        self.faults: list[Exception] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        check_handshake(request)
        try:
            return await serve_live(request, self.live)
        except Exception as fault:
            self.faults.append(fault)
            raise
        finally:
            self.ended.set()


def frame(opcode: int, payload: bytes = b"", *, first: int = 0x80, masked: bool = True) -> bytes:
    """Return one frame; *first* holds FIN and the reserved bits."""
    length = len(payload)
    bit = 0x80 if masked else 0
    if length < 126:
        head = struct.pack("!BB", first | opcode, bit | length)
    elif length < 2**16:
        head = struct.pack("!BBH", first | opcode, bit | 126, length)
    else:
        head = struct.pack("!BBQ", first | opcode, bit | 127, length)
    if not masked:
        return head + payload
    mask = b"\x11\x22\x33\x44"
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
