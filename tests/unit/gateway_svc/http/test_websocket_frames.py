"""Frames of apps: those that break the protocol, and those that merely look odd."""

from __future__ import annotations

import asyncio
import random
import struct
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_svc.domain.live_ports import LiveClose
from tests.unit.gateway_svc.http.live_site import CLOSE, HEAD, Stage, frame, serving

_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_TEXT, _PING, _PONG = 1, 9, 10
_TOO_LONG: Final = struct.pack("!BBQ", 0x82, 0xFF, _MAX_MESSAGE_BYTES + 1) + b"mask"


async def _talk(url: str, *frames: bytes, hangs_up: bool = False) -> list[tuple[int, bytes]]:
    """Shake hands and send *frames*; return the frames that come until the connection ends."""
    host, port = url.removeprefix("http://").partition("/")[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "".join(f"{name}: {value}\r\n" for name, value in HEAD.items())
    writer.write(f"GET /v1/realtime HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    received = []
    try:
        for sent in frames:
            writer.write(sent)
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


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(3)], 1002),
        ([frame(11)], 1002),
        ([frame(_TEXT, b"x", first=0xC0)], 1002),
        ([frame(_TEXT, b"x", first=0xA0)], 1002),
        ([frame(_PING, b"x", first=0)], 1002),
        ([frame(_PING, b"x" * 126)], 1002),
        ([frame(0, b"x")], 1002),
        ([frame(_TEXT, b"x", first=0), frame(_TEXT, b"y")], 1002),
        ([frame(CLOSE, b"x")], 1002),
        ([frame(CLOSE, struct.pack("!H", 999))], 1002),
        ([frame(_TEXT, b"\xff\xfe")], 1007),
        ([frame(_TEXT, b"\xc3", first=0), frame(0, b"\x28")], 1007),
        ([frame(CLOSE, struct.pack("!H", 1000) + b"\xff")], 1007),
        ([_TOO_LONG], 1009),
        ([struct.pack("!BBQ", 0x81, 0xFF, 2**63)], 1009),
    ],
)
async def test_frames_that_break_the_protocol_are_closed_with_the_code_that_says_so(
    frames: list[bytes], code: int
) -> None:
    stage = Stage()
    async with serving(stage.handle) as url:
        received = await _talk(url, *frames)
        await stage.ended.wait()

    assert received == [(CLOSE, struct.pack("!H", code))]
    assert stage.openai.all_heard() == []
    assert stage.openai.closed == LiveClose(code)


async def test_fragments_pings_and_interleaved_control_frames_are_taken() -> None:
    stage = Stage()
    async with serving(stage.handle) as url:
        received = await _talk(
            url,
            frame(_TEXT, b'{"a":', first=0),
            frame(_PING, b"ping"),
            frame(0, b'"\xc3', first=0),
            frame(_PONG),
            frame(0, b'\xa4"}'),
            frame(CLOSE),
        )
        await stage.ended.wait()

    assert received == [(_PONG, b"ping"), (CLOSE, struct.pack("!H", 1000))]
    assert stage.openai.all_heard() == ['{"a":"\u00e4"}']


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1))
async def test_no_bytes_break_the_server(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - makes test data
    frames = [
        frame(
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
    async with serving(stage.handle) as url:
        received = await _talk(url, *frames, hangs_up=True)
        await stage.ended.wait()

    closes = [struct.unpack("!H", payload[:2])[0] for opcode, payload in received if opcode == 8]
    assert stage.faults == []
    assert len(closes) <= 1
    assert set(closes) <= {1000, 1001, 1002, 1007, 1008, 1009, *range(3000, 5000)}
