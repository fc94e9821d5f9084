"""HTTP/2 frames made by hand, and a client that sends any to the gRPC front."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum

from tests.fuzz.target import HANG_SECONDS, Target

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
METHOD = b"/keyturn.gateway.v1.ModelService/ListModels"
REQUEST: dict[bytes, bytes] = {
    b":method": b"POST",
    b":scheme": b"https",
    b":path": METHOD,
    b":authority": b"gateway",
    b"te": b"trailers",
    b"content-type": b"application/grpc",
    b"grpc-timeout": b"1S",
}
MESSAGE = b"\0\0\0\0\0"  # an empty one
_PIECE_BYTES = 65536
_NO_ERROR = b"\0\0\0\0"
# gRPC's core writes names and values of headers as they are.
_OURS = b"x-keyturn-request-id"
_STATUS = re.compile(rb"grpc-status[\x01\x02]([0-9]{1,2})")


class End(StrEnum):
    """How a call ends that does not reach the gateway's own code, or is not answered."""

    REFUSED = "gRPC's core refuses it"
    RESET = "the stream is reset"
    GOAWAY = "the connection is given up"
    CLOSED = "the connection is closed"
    ANSWERED = "an answer without a status of gRPC"


def frame(
    kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0, length: int | None = None
) -> bytes:
    """Return a frame, whose *length* is that of *payload* unless it claims another."""
    claimed = len(payload) if length is None else length
    return claimed.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def block(*more: tuple[bytes, bytes], **changes: bytes | None) -> bytes:
    """Return the header block of a request.

    Args:
        more: Further headers, at its end.
        changes: Other values of its headers, by names with `_` for `:` and `-`; None for absent.
    """
    headers = {
        name: changes.get(name.decode().replace(":", "_").replace("-", "_"), value)
        for name, value in REQUEST.items()
    }
    pairs = [(name, value) for name, value in headers.items() if value is not None]
    return b"".join(_literal(name) + _literal(value, b"") for name, value in [*pairs, *more])


def headers(content: bytes, *, flags: int = END_HEADERS, stream: int = 1) -> bytes:
    """Return the frame that begins a request."""
    return frame(HEADERS, content, flags=flags, stream=stream)


def data(content: bytes, *, flags: int = END_STREAM, stream: int = 1) -> bytes:
    """Return the frame that carries messages, and by default ends the request."""
    return frame(DATA, content, flags=flags, stream=stream)


def end_of(
    target: Target,
    sent: bytes,
    *,
    preface: bytes = PREFACE + frame(SETTINGS),
    patience_seconds: float | None = None,
) -> int | End:
    """Send *sent*; return the status that the gateway gives stream 1, or how else it ends.

    Args:
        target: The gateway.
        sent: What follows *preface*.
        preface: What a client begins with.
        patience_seconds: After how much silence to leave, as what was sent may be the beginning of
            a frame; None to stay.

    Raises:
        TimeoutError: Nothing ends.
    """
    received = b""
    with target.connect_to_grpc() as connection:
        if patience_seconds is not None:
            connection.settimeout(patience_seconds)
        with suppress(ConnectionError, ssl.SSLError):  # it may close before it has read it all
            connection.sendall(preface + sent)
        with suppress(ConnectionError, ssl.SSLError):  # it may cut the connection
            while _end_in(received) is None:
                try:
                    piece = connection.recv(_PIECE_BYTES)
                except TimeoutError:
                    if patience_seconds is None:
                        raise
                    _leave(connection)
                    break
                if not piece:
                    break
                received += piece
    target.must_not_show_key(received)
    end = _end_in(received)
    return End.CLOSED if end is None else end


def _leave(connection: ssl.SSLSocket) -> None:
    """Say that nothing more comes, and wait until the gateway closes.

    Raises:
        TimeoutError: It does not.
    """
    connection.settimeout(HANG_SECONDS)
    connection.shutdown(socket.SHUT_WR)  # of TCP: what still comes is read as it is
    while connection.recv(_PIECE_BYTES):
        pass


def _end_in(received: bytes) -> int | End | None:
    for kind, flags, stream, payload in _frames(received):
        if kind == GOAWAY and payload[4:8] != _NO_ERROR:  # else calls go on to their end
            return End.GOAWAY
        if kind == RESET and stream == 1:
            return End.RESET
        if kind == HEADERS and stream == 1 and flags & END_STREAM:
            status = _STATUS.search(payload)
            if status is None:
                return End.ANSWERED
            return int(status[1]) if _OURS in payload else End.REFUSED
    return None


def _frames(received: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    while len(received) >= 9 + (size := int.from_bytes(received[:3], "big")):
        stream = int.from_bytes(received[5:9], "big")
        yield received[3], received[4], stream, received[9 : 9 + size]
        received = received[9 + size :]


def _literal(text: bytes, kind: bytes = b"\x10") -> bytes:
    """Return a literal of HPACK, never to be indexed, without Huffman's code."""
    if len(text) < 127:
        return kind + bytes((len(text),)) + text
    rest, length = len(text) - 127, b"\x7f"
    while rest > 127:
        length, rest = length + bytes((rest & 127 | 128,)), rest >> 7
    return kind + length + bytes((rest,)) + text
