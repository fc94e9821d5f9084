"""HTTP/2 that no gRPC client sends: the gRPC front ends the call or the connection, and goes on."""

from __future__ import annotations

import ssl
import struct
import time
from contextlib import suppress

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub
from tests.fuzz.bounds import bounded
from tests.fuzz.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MESSAGE,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH,
    RESET,
    SETTINGS,
    WINDOW,
    End,
    block,
    data,
    end_of,
    frame,
    headers,
)
from tests.fuzz.target import HANG_SECONDS, POLL_SECONDS, Target

# Of the gateway's own code. What gRPC's core refuses never gets there.
FAULTS = {
    code.value[0]
    for code in (
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.UNAVAILABLE,
    )
}
START = headers(block())


def test_a_call_made_by_hand_is_served(target: Target) -> None:
    assert end_of(target, START + data(MESSAGE)) == 0


ODD = {
    "no message": START + data(b""),
    "two messages": START + data(MESSAGE * 2),
    "message cut in its length": START + data(MESSAGE[:3]),
    "message cut short": START + data(b"\0\0\0\0\x09abc"),
    "message of 4 GiB": START + data(b"\0\xff\xff\xff\xffabc"),
    "message of an unknown form": START + data(b"\x07\0\0\0\x01a"),
    "message said to be compressed": START + data(b"\x01\0\0\0\x05abcde"),
    "message that is no gzip": headers(block((b"grpc-encoding", b"gzip")))
    + data(b"\x01\0\0\0\x05abcde"),
    "unknown compression": headers(block((b"grpc-encoding", b"zz"))) + data(b"\x01\0\0\0\x01a"),
    "time-out that is none": headers(block(grpc_timeout=b"abc")) + data(MESSAGE),
    "time-out of zero": headers(block(grpc_timeout=b"0n")) + data(MESSAGE),
    "negative time-out": headers(block(grpc_timeout=b"-1S")) + data(MESSAGE),
    "time-out of many digits": headers(block(grpc_timeout=b"9" * 30 + b"H")) + data(MESSAGE),
    "no time-out": headers(block(grpc_timeout=None)) + data(MESSAGE),
    "another content type": headers(block(content_type=b"text/html")) + data(MESSAGE),
    "no content type": headers(block(content_type=None)) + data(MESSAGE),
    "method GET": headers(block(_method=b"GET")) + data(MESSAGE),
    "no method": headers(block(_method=None)) + data(MESSAGE),
    "no path": headers(block(_path=None)) + data(MESSAGE),
    "empty path": headers(block(_path=b"")) + data(MESSAGE),
    "long path": headers(block(_path=b"/" + b"a" * 7000)) + data(MESSAGE),
    "no scheme": headers(block(_scheme=None)) + data(MESSAGE),
    "no authority": headers(block(_authority=None)) + data(MESSAGE),
    "two paths": headers(block((b":path", b"/x/y"))) + data(MESSAGE),
    "unknown pseudo header": headers(block((b":x", b"y"))) + data(MESSAGE),
    "name in capitals": headers(block((b"X-A", b"b"))) + data(MESSAGE),
    "name with a line break": headers(block((b"x\r\ny", b"b"))) + data(MESSAGE),
    "value with a line break": headers(block((b"x-a", b"a\r\nb"))) + data(MESSAGE),
    "value with a null byte": headers(block((b"x-keyturn-key", b"a\0b"))) + data(MESSAGE),
    "bytes in no base64": headers(block((b"a-bin", b"\xff!"))) + data(MESSAGE),
    "header of the connection": headers(block((b"connection", b"close"))) + data(MESSAGE),
    "length that is wrong": headers(block((b"content-length", b"99"))) + data(MESSAGE),
    "no HPACK": headers(b"\xff" * 50) + data(MESSAGE),
    "index beyond the table": headers(b"\xfe") + data(MESSAGE),
    "table of 1 GiB": headers(b"\x3f\xe1\xff\xff\xff\x03" + block()) + data(MESSAGE),
    "block cut short": headers(block()[:-3]) + data(MESSAGE),
    "headers of 1 MiB": headers(block(), flags=0)
    + frame(CONTINUATION, block((b"a", b"b" * 16000)), stream=1) * 64
    + frame(CONTINUATION, b"", flags=END_HEADERS, stream=1)
    + data(MESSAGE),
    "continuations without end": headers(block(), flags=0)
    + frame(CONTINUATION, b"", stream=1) * 100_000,
    "continuation of nothing": frame(CONTINUATION, block(), flags=END_HEADERS, stream=1),
    "data between headers": headers(block(), flags=0) + data(MESSAGE),
    "padding longer than the frame": START + data(b"\xff" + MESSAGE, flags=END_STREAM | PADDED),
    "frame larger than agreed": START + frame(DATA, b"\0" * 70_000, stream=1),
    "frame of 16 MiB": START + frame(DATA, b"", stream=1, length=(1 << 24) - 1),
    "settings of 5 bytes": frame(SETTINGS, b"\0" * 5),
    "settings on a stream": frame(SETTINGS, b"", stream=1),
    "settings acknowledged with content": frame(SETTINGS, b"\0" * 6, flags=ACK),
    "settings out of bounds": frame(SETTINGS, struct.pack("!HI", 4, 0xFFFFFFFF)),
    "frames of 1 byte": frame(SETTINGS, struct.pack("!HI", 5, 1)) + START + data(MESSAGE),
    "ping of 7 bytes": frame(PING, b"\0" * 7),
    "many pings": frame(PING, b"\0" * 8) * 10_000 + START + data(MESSAGE),
    "many settings": frame(SETTINGS) * 10_000 + START + data(MESSAGE),
    "window of zero": frame(WINDOW, b"\0" * 4),
    "window of 3 bytes": frame(WINDOW, b"\0" * 3),
    "reset of an idle stream": frame(RESET, b"\0\0\0\x08", stream=1) + START + data(MESSAGE),
    "reset of 3 bytes": START + frame(RESET, b"\0" * 3, stream=1),
    "unknown frame": frame(0xEE, b"abc") + START + data(MESSAGE),
    "goaway and a call": frame(GOAWAY, b"\0" * 8) + START + data(MESSAGE),
}
# What gRPC's core passes over in silence, while it waits for more.
IGNORED = {
    "data before headers": data(MESSAGE),
    "data on stream 0": frame(DATA, MESSAGE, stream=0),
    "headers on stream 0": frame(HEADERS, block(), flags=END_HEADERS, stream=0),
    "stream of the server": headers(block(), stream=2) + data(MESSAGE, stream=2),
    "stream that went by": headers(block(), stream=5)
    + data(MESSAGE, stream=5)
    + headers(block())
    + data(MESSAGE),
    "window too large": frame(WINDOW, b"\x7f\xff\xff\xff") * 2,
    "push": frame(PUSH, b"\0\0\0\x02" + block(), flags=END_HEADERS, stream=1),
    "priority of 4 bytes": frame(PRIORITY, b"\0" * 4, stream=1),
    "calls opened and reset": b"".join(
        headers(block(), stream=number) + frame(RESET, b"\0\0\0\x08", stream=number)
        for number in range(3, 4003, 2)
    )
    + headers(block(), stream=4005),
}
PATIENCE_SECONDS = 2.0  # more than `REQUEST` waits for an answer
GOODBYE = frame(PING, b"\0" * 7)  # malformed, which ends a connection that is open still


def test_a_path_that_is_no_text_ends_no_call_and_the_port_is_back_soon(
    target_of_session: Target,
) -> None:
    target = target_of_session
    body = b'{"model":"gpt-4o-many","stream":true,"messages":[{"role":"user","content":"a"}]}'
    request = pass_pb.UpstreamRequest(method="POST", path="chat/completions", body=body)
    with target.grpc_channel() as channel:
        call = PassThroughServiceStub(channel).StreamCall(
            pass_pb.StreamCallRequest(request=request), timeout=HANG_SECONDS
        )
        assert next(call).head.status == 200
        end_of(target, headers(block(_path=b"/\xff")) + data(MESSAGE))
        _until_served(target)
        held = b"".join(part.body for part in call)

    assert held.endswith(b"data: [DONE]\n\n")
    assert target.serves()


def _until_served(target: Target) -> None:
    """Wait until calls over gRPC are served, which they are not while the port is made anew.

    Raises:
        TimeoutError: They are not.
    """
    give_up = time.monotonic() + HANG_SECONDS
    while time.monotonic() < give_up:
        with suppress(ConnectionError, ssl.SSLError):
            if end_of(target, START + data(MESSAGE)) == 0:
                return
        time.sleep(POLL_SECONDS)
    raise TimeoutError


@pytest.mark.parametrize("sent", ODD.values(), ids=ODD)
def test_an_odd_call_ends_without_a_fault_of_the_gateway(target: Target, sent: bytes) -> None:
    assert end_of(target, sent) not in FAULTS


@pytest.mark.parametrize("sent", IGNORED.values(), ids=IGNORED)
def test_an_odd_frame_that_is_passed_over_does_not_harm(target: Target, sent: bytes) -> None:
    assert end_of(target, sent + GOODBYE) not in FAULTS


@pytest.mark.parametrize(
    "preface",
    [b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n", b"\0" * 64, PREFACE[:-1] + b"x", PREFACE + START],
    ids=["HTTP/1.1", "null bytes", "another preface", "no settings"],
)
def test_what_does_not_begin_as_http_2_is_closed(target: Target, preface: bytes) -> None:
    assert end_of(target, b"", preface=preface) in {End.CLOSED, End.GOAWAY}


FRAMES = st.builds(
    frame,
    st.integers(0, 9) | st.integers(0, 255),
    st.binary(max_size=40) | st.just(block()) | st.just(MESSAGE),
    flags=st.integers(0, 255) | st.sampled_from([0, END_HEADERS, END_STREAM]),
    stream=st.integers(0, 5),
)


@bounded
@given(frames=st.lists(FRAMES, max_size=8), noise=st.binary(max_size=60))
def test_any_frames(target: Target, frames: list[bytes], noise: bytes) -> None:
    sent = b"".join(frames) + noise + GOODBYE

    assert end_of(target, sent, patience_seconds=PATIENCE_SECONDS) not in FAULTS
