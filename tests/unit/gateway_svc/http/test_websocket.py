"""Apps' WebSockets over real connections: their handshakes, and frames that break the protocol."""

from __future__ import annotations

import asyncio
import logging
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import make_mocked_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_svc.domain.errors import ModelNotGrantedError
from gateway_svc.domain.leases import Receipt
from gateway_svc.domain.live_relay import Live
from gateway_svc.domain.live_session import UpstreamRefusedLiveError
from gateway_svc.domain.ports import LeaseOutcome, LeaseRequest, LiveClose
from gateway_svc.http.connection import connections_for
from gateway_svc.http.websocket import (
    answer_refusal,
    check_handshake,
    offered_subprotocols,
    serve_live,
    token_subprotocol,
    wants_websocket,
)
from svc_runtime.call_context import CallContext, bind_call
from svc_runtime.service_error import InvalidFieldError, ServiceError
from tests.fakes.fake_key_leaser import FakeKeyLeaser
from tests.fakes.fake_live_side import FakeLiveSide
from tests.unit.gateway_svc.relay_stage import CALL, LEASE

_RECEIPT: Final = Receipt("request-0001", "users/alice/keys/openai", 3, "grants/1", "0" * 32)
_TOKEN: Final = "openai-insecure-api-key.aa.canary.cc"
_KEY: Final = "AQIDBAUGBwgJCgsMDQ4PEA=="
_HEAD: Final = {
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": _KEY,
}
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _request(**headers: str) -> web.Request:
    given_headers = _HEAD | {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("GET", "/v1/realtime", given_headers)


def _live(openai: FakeLiveSide, subprotocol: str, refusal: ServiceError | None) -> Live:
    leaser = FakeKeyLeaser(refusal or LEASE)
    request = LeaseRequest(
        "request-0001", CALL.key, CALL.app, "WEBSOCKET", "realtime", "", "", b"", 0, 0, None
    )
    headers = (("x-request-id", "req-openai"), ("openai-version", "2020-10-01"))
    return Live(_RECEIPT, subprotocol, headers, openai, leaser, request)


@asynccontextmanager
async def _serving(
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


def _frame(opcode: int, payload: bytes = b"", *, first: int = 0x80, masked: bool = True) -> bytes:
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


async def _talk(url: str, *frames: bytes, hangs_up: bool = False) -> list[tuple[int, bytes]]:
    """Shake hands and send *frames*; return the frames that come until the connection ends."""
    host, port = url.removeprefix("http://").partition("/")[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "".join(f"{name}: {value}\r\n" for name, value in _HEAD.items())
    writer.write(f"GET /v1/realtime HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    received = []
    try:
        for frame in frames:
            writer.write(frame)
        if hangs_up:
            writer.write_eof()
        while True:
            first, length = await reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
            received.append((first & 0xF, await reader.readexactly(length)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return received
    finally:
        writer.transport.abort()


def test_an_upgrade_is_recognised() -> None:
    assert wants_websocket(_request())
    assert wants_websocket(_request(Upgrade="WebSocket", Connection="upgrade"))
    assert not wants_websocket(_request(Upgrade="h2c"))
    assert not wants_websocket(_request(Connection="keep-alive"))
    assert not wants_websocket(make_mocked_request("GET", "/v1/realtime"))


def test_a_handshake_of_rfc_6455_is_accepted() -> None:
    check_handshake(_request())


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Sec-WebSocket-Version": "8"}, "sec-websocket-version"),
        ({"Sec-WebSocket-Key": "AAAA"}, "sec-websocket-key"),
        ({"Sec-WebSocket-Key": "\u00e4" * 22 + "=="}, "sec-websocket-key"),
        ({"Content-Length": "5"}, "body"),
        ({"Transfer-Encoding": "chunked"}, "body"),
    ],
)
def test_another_handshake_is_refused(headers: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidFieldError) as error:
        check_handshake(make_mocked_request("GET", "/v1/realtime", _HEAD | headers))

    assert error.value.field == field


def test_only_get_can_ask_for_a_websocket() -> None:
    with pytest.raises(InvalidFieldError):
        check_handshake(make_mocked_request("POST", "/v1/realtime", _HEAD))


@pytest.mark.parametrize(
    ("protocols", "offered", "token"),
    [
        ("realtime", ("realtime",), None),
        (f"realtime, {_TOKEN}", ("realtime",), "aa.canary.cc"),
        (
            f"realtime,{_TOKEN},openai-organization.o,openai-project.p,openai-beta.r-v1,realtime",
            ("realtime", "openai-beta.r-v1"),
            "aa.canary.cc",
        ),
        ("other, openai-beta.", (), None),
    ],
)
def test_a_credential_among_the_subprotocols_is_not_offered_to_openai(
    protocols: str, offered: tuple[str, ...], token: str | None
) -> None:
    request = _request(Sec_WebSocket_Protocol=protocols)

    assert offered_subprotocols(request) == offered
    assert token_subprotocol(request) == token


def test_two_credentials_among_the_subprotocols_are_refused() -> None:
    with pytest.raises(InvalidFieldError):
        token_subprotocol(_request(Sec_WebSocket_Protocol=f"{_TOKEN}, {_TOKEN}x"))


async def test_a_handshake_is_answered_with_openais_headers_and_the_receipt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    stage = Stage("realtime")
    async with (
        _serving(stage.handle) as url,
        ClientSession() as client,
        client.ws_connect(url, protocols=("other", _TOKEN, "realtime")) as socket,
    ):
        headers = socket._response.headers
        await socket.close()
        await stage.ended.wait()

    assert socket.protocol == "realtime"
    assert headers["x-request-id"] == "req-openai"
    assert headers["openai-version"] == "2020-10-01"
    assert headers["x-keyturn-lease"] == _RECEIPT.lease_id
    assert headers["server"] == "keyturn"
    assert "sec-websocket-extensions" not in headers
    assert "canary" not in caplog.text


async def test_messages_pass_both_ways_and_the_end_is_reported() -> None:
    stage = Stage()
    async with _serving(stage.handle) as url, ClientSession() as client:
        async with client.ws_connect(url, compress=15) as socket:
            await socket.send_str('{"a": "\u00e4"}')
            await socket.send_bytes(b"\xff\x00")
            heard = [await stage.openai.heard.get() for _ in range(2)]
            stage.openai.say('{"b": 1}')
            stage.openai.say(b"\x00\xff")
            said = [(await socket.receive()).data for _ in range(2)]
            await socket.close(code=4001, message=b"own")
        await stage.ended.wait()

    assert heard == ['{"a": "\u00e4"}', b"\xff\x00"]
    assert said == ['{"b": 1}', b"\x00\xff"]
    assert stage.openai.closed == LiveClose(4001, "own")
    assert stage.live.outcome is LeaseOutcome.SERVED


async def test_openais_close_reaches_the_app() -> None:
    stage = Stage()
    async with (
        _serving(stage.handle) as url,
        ClientSession() as client,
        client.ws_connect(url, autoclose=False) as socket,
    ):
        stage.openai.say(LiveClose(3000, "invalid_request_error.session_expired"))
        message = await socket.receive()

    assert message.type is WSMsgType.CLOSE
    assert (message.data, message.extra) == (3000, "invalid_request_error.session_expired")


async def test_an_app_that_vanishes_ends_the_session() -> None:
    stage = Stage()
    async with _serving(stage.handle) as url, ClientSession() as client:
        socket = await client.ws_connect(url)
        await socket.send_str("{}")
        await stage.openai.heard.get()
        transport = socket._writer.transport
        transport.abort()
        await stage.ended.wait()

    assert stage.openai.closed == LiveClose(1001)
    assert stage.live.outcome is LeaseOutcome.CANCELLED


async def test_a_refused_message_ends_the_session_and_the_log_says_why() -> None:
    stage, contexts = Stage(refusal=ModelNotGrantedError()), list[CallContext]()
    async with (
        _serving(stage.handle, contexts) as url,
        ClientSession() as client,
        client.ws_connect(url, autoclose=False) as socket,
    ):
        await socket.send_str('{"model":"gpt-other"}')
        message = await socket.receive()
        await socket.close()
        await stage.ended.wait()

    assert (message.data, message.extra) == (1008, "MODEL_NOT_GRANTED")
    assert stage.openai.all_heard() == []
    assert contexts[0].fields["close_code"] == 1008
    assert contexts[0].fields["reason"] == "MODEL_NOT_GRANTED"


async def test_a_session_that_the_gateway_stops_is_closed_as_going_away() -> None:
    stage = Stage()
    async with (
        _serving(stage.handle) as url,
        ClientSession() as client,
        client.ws_connect(url, autoclose=False) as socket,
    ):
        await socket.send_str("{}")
        await stage.openai.heard.get()
        (request,) = stage.requests
        request.task.cancel()
        message = await socket.receive()

    assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
    assert stage.openai.closed == LiveClose(1001)


async def test_an_app_that_does_not_read_its_messages_cannot_keep_the_connection() -> None:
    stage = Stage()
    async with _serving(stage.handle) as url:
        host, port = url.removeprefix("http://").partition("/")[0].split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        head = "".join(f"{name}: {value}\r\n" for name, value in _HEAD.items())
        writer.write(f"GET /v1/realtime HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(50):
            stage.openai.say(bytes(1024 * 1024))
        (request,) = stage.requests
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        while not request.protocol._paused:  # noqa: ASYNC110 - aiohttp tells nobody
            await asyncio.sleep(0)  # the server fills what the app does not empty
        writer.write(_frame(_CLOSE, struct.pack("!H", 1000)))
        await stage.ended.wait()
        writer.transport.abort()

        assert stage.openai.taken_count < 50
        assert transport.is_closing()
        assert transport.get_write_buffer_size() == 0


async def test_a_refused_handshake_is_answered_as_openai_did_without_the_keys_echo() -> None:
    body = b'{"error":{"message":"Incorrect API key provided: sk-proj-****abcd."}}'
    headers = (("content-type", "application/json"), ("set-cookie", "x"), ("x-request-id", "r-1"))

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await answer_refusal(request, UpstreamRefusedLiveError(403, headers, body))

    async with (
        _serving(handle) as url,
        ClientSession() as client,
        client.get(url, headers=_HEAD) as response,
    ):
        text = await response.text()

    assert response.status == 403
    assert response.headers["x-request-id"] == "r-1"
    assert "set-cookie" not in response.headers
    assert "[key]" in text
    assert "abcd" not in text


_TOO_LONG: Final = struct.pack("!BBQ", 0x82, 0xFF, _MAX_MESSAGE_BYTES + 1) + b"mask"


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([_frame(3)], 1002),
        ([_frame(11)], 1002),
        ([_frame(_TEXT, b"x", first=0xC0)], 1002),
        ([_frame(_TEXT, b"x", first=0xA0)], 1002),
        ([_frame(_PING, b"x", first=0)], 1002),
        ([_frame(_PING, b"x" * 126)], 1002),
        ([_frame(0, b"x")], 1002),
        ([_frame(_TEXT, b"x", first=0), _frame(_TEXT, b"y")], 1002),
        ([_frame(_CLOSE, b"x")], 1002),
        ([_frame(_CLOSE, struct.pack("!H", 999))], 1002),
        ([_frame(_TEXT, b"\xff\xfe")], 1007),
        ([_frame(_TEXT, b"\xc3", first=0), _frame(0, b"\x28")], 1007),
        ([_frame(_CLOSE, struct.pack("!H", 1000) + b"\xff")], 1007),
        ([_TOO_LONG], 1009),
        ([struct.pack("!BBQ", 0x81, 0xFF, 2**63)], 1009),
    ],
)
async def test_frames_that_break_the_protocol_are_closed_with_the_code_that_says_so(
    frames: list[bytes], code: int
) -> None:
    stage = Stage()
    async with _serving(stage.handle) as url:
        received = await _talk(url, *frames)
        await stage.ended.wait()

    assert received == [(_CLOSE, struct.pack("!H", code))]
    assert stage.openai.all_heard() == []
    assert stage.openai.closed == LiveClose(code)


async def test_fragments_pings_and_interleaved_control_frames_are_taken() -> None:
    stage = Stage()
    async with _serving(stage.handle) as url:
        received = await _talk(
            url,
            _frame(_TEXT, b'{"a":', first=0),
            _frame(_PING, b"ping"),
            _frame(0, b'"\xc3', first=0),
            _frame(_PONG),
            _frame(0, b'\xa4"}'),
            _frame(_CLOSE),
        )
        await stage.ended.wait()

    assert received == [(_PONG, b"ping"), (_CLOSE, struct.pack("!H", 1000))]
    assert stage.openai.all_heard() == ['{"a":"\u00e4"}']


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1))
async def test_no_bytes_break_the_server(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - makes test data
    frames = [
        _frame(
            source.randrange(16),
            source.randbytes(source.choice([0, 1, 2, 125, 126, 300])),
            first=source.choice([0, 0x80, 0x80, 0x80, 0xF0, 0x10]),
            masked=source.random() < 0.9,
        )
        for _ in range(source.randrange(6))
    ]
    if source.random() < 0.5:
        frames.append(source.randbytes(source.randrange(64)))
    stage = Stage()
    async with _serving(stage.handle) as url:
        received = await _talk(url, *frames, hangs_up=True)
        await stage.ended.wait()

    closes = [struct.unpack("!H", payload[:2])[0] for opcode, payload in received if opcode == 8]
    assert stage.faults == []
    assert len(closes) <= 1
    assert set(closes) <= {1000, 1001, 1002, 1007, 1008, 1009, *range(3000, 5000)}
