from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from keyturn_cli.standin.standin_keys import make_key

_ReadRecord = Callable[[], list[dict[str, Any]]]

_EVENT: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)


@pytest.fixture
async def socket(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with http.ws_connect("realtime?model=gpt-realtime", headers=working_key) as opened:
        assert (await _receive(opened))["type"] == "session.created"
        yield opened


async def _receive(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """Receive one event, which the SDK must understand."""
    event: dict[str, Any] = await socket.receive_json()
    _EVENT.validate_python(event)
    return event


async def test_a_session_is_updated(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_json({"type": "session.update", "session": {"instructions": "Be brief."}})

    event = await _receive(socket)
    assert event["type"] == "session.updated"
    assert event["session"]["instructions"] == "Be brief."
    assert event["session"]["model"] == "gpt-realtime"


async def test_a_response_comes_word_by_word_and_ends_with_the_usage(
    socket: aiohttp.ClientWebSocketResponse,
) -> None:
    part = {"type": "input_text", "text": "good morning"}
    item = {"type": "message", "role": "user", "content": [part]}
    await socket.send_json({"type": "conversation.item.create", "item": item})
    added = [(await _receive(socket))["type"] for _ in range(2)]
    await socket.send_json({"type": "response.create"})
    events = [await _receive(socket) for _ in range(9)]

    assert added == ["conversation.item.added", "conversation.item.done"]
    assert [event["type"] for event in events] == [
        "response.created",
        "response.output_item.added",
        *["response.output_text.delta"] * 4,
        "response.output_text.done",
        "response.output_item.done",
        "response.done",
    ]
    assert "".join(event["delta"] for event in events[2:6]) == "You said: good morning"
    usage = events[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (2, 4, 6)


async def test_binary_messages_come_back(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_bytes(b"\x00\xff" * 100_000)

    assert await socket.receive_bytes() == b"\x00\xff" * 100_000


@pytest.mark.parametrize("message", ["{", "[]", '{"type": "no.such.event"}'])
async def test_a_wrong_event_is_answered_and_the_session_goes_on(
    socket: aiohttp.ClientWebSocketResponse, message: str
) -> None:
    await socket.send_str(message)
    assert (await _receive(socket))["type"] == "error"

    await socket.send_json({"type": "session.update"})
    assert (await _receive(socket))["type"] == "session.updated"


async def test_it_closes_when_it_is_asked_to(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_str("close me")
    message = await socket.receive()

    assert message.type is aiohttp.WSMsgType.CLOSE
    assert (socket.close_code, message.extra) == (4000, "bye")


async def test_the_messages_of_a_session_are_recorded(
    socket: aiohttp.ClientWebSocketResponse, read_record: _ReadRecord
) -> None:
    await socket.send_json({"type": "session.update"})
    await socket.send_bytes(b"sound")
    assert await _receive(socket)
    assert await socket.receive_bytes()
    assert read_record() == []
    await socket.close()

    [line] = read_record()
    assert (line["method"], line["raw_path"], line["query"]) == (
        "GET",
        "/v1/realtime",
        "model=gpt-realtime",
    )
    assert [(message["kind"], message["size"]) for message in line["messages"]] == [
        ("text", 26),
        ("binary", 5),
    ]
    assert line["messages"][1]["sha256"] == hashlib.sha256(b"sound").hexdigest()


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("realtime?model=gpt-realtime", "sk-standin-of-nobody-abcd", 401),
        ("realtime", None, 400),
        ("realtime?model=error-503", None, 503),
    ],
    ids=["wrong key", "no model", "model of an error"],
)
async def test_a_handshake_can_be_refused(
    http: aiohttp.ClientSession, read_record: _ReadRecord, path: str, key: str | None, status: int
) -> None:
    raw_key = key or make_key().expose().decode()
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(path, headers={"Authorization": f"Bearer {raw_key}"})

    assert caught.value.status == status
    assert [line["messages"] for line in read_record()] == [None]


async def test_a_plain_request_is_no_handshake(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    async with http.get("realtime?model=gpt-realtime", headers=working_key) as response:
        assert response.status == 400


async def test_a_browser_sends_its_key_as_a_subprotocol_and_no_key_is_recorded(
    http: aiohttp.ClientSession, read_record: _ReadRecord
) -> None:
    raw_key = make_key().expose().decode()
    protocols = ("realtime", f"openai-insecure-api-key.{raw_key}")
    async with http.ws_connect("realtime?model=gpt-realtime", protocols=protocols) as socket:
        chosen = socket.protocol

    with pytest.raises(aiohttp.WSServerHandshakeError):
        await http.ws_connect(
            "realtime?model=m", protocols=("openai-insecure-api-key.of-another-form",)
        )

    lines = read_record()
    assert chosen == "realtime"
    assert raw_key not in str(lines)
    assert "of-another-form" not in str(lines)
    offered = [dict(line["headers"])["sec-websocket-protocol"] for line in lines]
    assert offered == [
        "realtime,openai-insecure-api-key.<key>",
        "openai-insecure-api-key.<key>",
    ]


async def test_an_error_event_can_show_part_of_the_key(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    async with http.ws_connect("realtime?model=gpt-realtime-echo", headers=working_key) as socket:
        await _receive(socket)
        await socket.send_json({"type": "response.create"})
        event = await _receive(socket)

    assert event["type"] == "error"
    assert "sk-stand***" in event["error"]["message"]
