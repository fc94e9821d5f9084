"""WebSocket frames made by hand, and a client that takes any."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.fuzz.target import Target

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN = 0x80
CUT = 1006
_PIECE_BYTES = 65536
_MASK = b"\x0f\xf0\x55\xaa"
_HANDSHAKE = (
    b"GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\n"
    b"Host: gateway\r\n"
    b"Connection: Upgrade\r\n"
    b"Upgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n"
)


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    is_last: bool = True,
    rsv: int = 0,
    is_masked: bool = True,
    length: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """Return a frame.

    Args:
        opcode: 0 to 15.
        payload: What it carries.
        is_last: Whether its message ends with it.
        rsv: The reserved bits, 0 to 7.
        is_masked: Whether it is masked, as a client's must be.
        length: The length that it claims; that of *payload* by default.
        length_bytes: How many bytes the extended length has; as few as do by default.
    """
    claimed = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if claimed < 126 else 2 if claimed < 1 << 16 else 8
    first = (FIN if is_last else 0) | rsv << 4 | opcode
    second = {0: claimed, 2: 126, 8: 127}[length_bytes] | (0x80 if is_masked else 0)
    extended = claimed.to_bytes(length_bytes, "big") if length_bytes else b""
    if not is_masked:
        return bytes((first, second)) + extended + payload
    masked = bytes(byte ^ _MASK[index % 4] for index, byte in enumerate(payload))
    return bytes((first, second)) + extended + _MASK + masked


def closing(code: int = 1000, reason: bytes = b"") -> bytes:
    """Return the frame that ends a session."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


@contextmanager
def session_of(target: Target) -> Iterator[ssl.SSLSocket]:
    """Enter with a connection whose handshake is done."""
    with target.connect() as connection:
        connection.sendall(_HANDSHAKE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)  # and nothing of what follows
        assert head.startswith(b"HTTP/1.1 101 ")
        yield connection


def close_code_after(target: Target, sent: bytes) -> int:
    """Send *sent* in a session; return with which code the gateway ends it, 1006 for a cut.

    Raises:
        TimeoutError: It does not end it.
    """
    with session_of(target) as connection:
        received = b""
        with suppress(ConnectionError, ssl.SSLError):  # it may cut the connection
            connection.sendall(sent)
            while not any(opcode == CLOSE for opcode, _ in _frames(received)):
                piece = connection.recv(_PIECE_BYTES)
                if not piece:
                    break
                received += piece
            connection.sendall(closing())
        received += target.read_to_end(connection)
    target.must_not_show_key(received)
    closes = [payload for opcode, payload in _frames(received) if opcode == CLOSE]
    return int.from_bytes(closes[0][:2], "big") if closes and closes[0] else CUT


def _frames(received: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and payload of each whole frame of the gateway's, which is not masked."""
    while len(received) >= 2:
        opcode, length, start = received[0] & 0x0F, received[1], 2
        assert received[0] & 0x70 == 0
        if length >= 126:
            size = 2 if length == 126 else 8
            start += size
            length = int.from_bytes(received[2:start], "big")
        if len(received) < start + length:
            return
        yield opcode, received[start : start + length]
        received = received[start + length :]
