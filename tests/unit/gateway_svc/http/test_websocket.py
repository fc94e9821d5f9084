"""Apps' WebSockets over real connections: their handshakes and sessions."""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import Final

import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import make_mocked_request

from gateway_svc.domain.errors import ModelNotGrantedError
from gateway_svc.domain.lease_ports import LeaseOutcome
from gateway_svc.domain.live_ports import LiveClose
from gateway_svc.domain.live_session import UpstreamRefusedLiveError
from gateway_svc.http.websocket import (
    answer_refusal,
    check_handshake,
    offered_subprotocols,
    token_subprotocol,
    wants_websocket,
)
from svc_runtime.call_context import CallContext
from svc_runtime.service_error import InvalidFieldError
from tests.unit.gateway_svc.http.live_site import CLOSE, HEAD, RECEIPT, Stage, frame, serving

_TOKEN: Final = "openai-insecure-api-key.aa.canary.cc"


def _request(**headers: str) -> web.Request:
    given_headers = HEAD | {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("GET", "/v1/realtime", given_headers)


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
        check_handshake(make_mocked_request("GET", "/v1/realtime", HEAD | headers))

    assert error.value.field == field


def test_only_get_can_ask_for_a_websocket() -> None:
    with pytest.raises(InvalidFieldError):
        check_handshake(make_mocked_request("POST", "/v1/realtime", HEAD))


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
        serving(stage.handle) as url,
        ClientSession() as client,
        client.ws_connect(url, protocols=("other", _TOKEN, "realtime")) as socket,
    ):
        headers = socket._response.headers
        await socket.close()
        await stage.ended.wait()

    assert socket.protocol == "realtime"
    assert headers["x-request-id"] == "req-openai"
    assert headers["openai-version"] == "2020-10-01"
    assert headers["x-keyturn-lease"] == RECEIPT.lease_id
    assert headers["server"] == "keyturn"
    assert "sec-websocket-extensions" not in headers
    assert "canary" not in caplog.text


async def test_messages_pass_both_ways_and_the_end_is_reported() -> None:
    stage = Stage()
    async with serving(stage.handle) as url, ClientSession() as client:
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
        serving(stage.handle) as url,
        ClientSession() as client,
        client.ws_connect(url, autoclose=False) as socket,
    ):
        stage.openai.say(LiveClose(3000, "invalid_request_error.session_expired"))
        message = await socket.receive()

    assert message.type is WSMsgType.CLOSE
    assert (message.data, message.extra) == (3000, "invalid_request_error.session_expired")


async def test_an_app_that_vanishes_ends_the_session() -> None:
    stage = Stage()
    async with serving(stage.handle) as url, ClientSession() as client:
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
        serving(stage.handle, contexts) as url,
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
        serving(stage.handle) as url,
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
    async with serving(stage.handle) as url:
        host, port = url.removeprefix("http://").partition("/")[0].split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        head = "".join(f"{name}: {value}\r\n" for name, value in HEAD.items())
        writer.write(f"GET /v1/realtime HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(50):
            stage.openai.say(bytes(1024 * 1024))
        (request,) = stage.requests
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        while not request.protocol._paused:  # noqa: ASYNC110 - aiohttp tells nobody
            await asyncio.sleep(0)  # the server fills what the app does not empty
        writer.write(frame(CLOSE, struct.pack("!H", 1000)))
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
        serving(handle) as url,
        ClientSession() as client,
        client.get(url, headers=HEAD) as response,
    ):
        text = await response.text()

    assert response.status == 403
    assert response.headers["x-request-id"] == "r-1"
    assert "set-cookie" not in response.headers
    assert "[key]" in text
    assert "abcd" not in text
