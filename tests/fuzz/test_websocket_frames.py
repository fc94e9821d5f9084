"""WebSocket frames that break the protocol: the gateway ends the session, on both sides."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.bounds import bounded
from tests.fuzz.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    close_code_after,
    closing,
    frame,
    session_of,
)
from tests.fuzz.target import Target

BROKEN, BAD_TEXT, REFUSED, TOO_LARGE = 1002, 1007, 1008, 1009
MIB = 1024 * 1024

BAD = {
    **{
        f"opcode {opcode}": (frame(opcode), BROKEN)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    **{f"reserved bits {rsv}": (frame(TEXT, b"{}", rsv=rsv), BROKEN) for rsv in range(1, 8)},
    "reserved bit of a ping": (frame(PING, rsv=4), BROKEN),
    "ping in fragments": (frame(PING, is_last=False), BROKEN),
    "close in fragments": (frame(CLOSE, is_last=False), BROKEN),
    "ping of 126 bytes": (frame(PING, b"a" * 126), BROKEN),
    "close of 126 bytes": (closing(1000, b"a" * 124), BROKEN),
    "continuation of nothing": (frame(CONTINUATION, b"{}"), BROKEN),
    "text in a text": (frame(TEXT, b"{", is_last=False) + frame(TEXT, b"}"), BROKEN),
    "binary in a text": (frame(TEXT, b"{", is_last=False) + frame(BINARY, b"}"), BROKEN),
    "close of one byte": (frame(CLOSE, b"\x03"), BROKEN),
    **{
        f"close with {code}": (closing(code), BROKEN)
        for code in (0, 999, 1004, 1005, 1015, 1016, 2999)
    },
    "close with bad UTF-8": (closing(1000, b"\xff"), BAD_TEXT),
    "bad UTF-8": (frame(TEXT, b'{"a":"\xff"}'), BAD_TEXT),
    "overlong UTF-8": (frame(TEXT, b'{"a":"\xc0\xaf"}'), BAD_TEXT),
    "half of a pair": (frame(TEXT, b'{"a":"\xed\xa0\x80"}'), BAD_TEXT),
    "UTF-8 cut short": (frame(TEXT, b'{"a":"\xe2\x82'), BAD_TEXT),
    "bad UTF-8 in fragments": (
        frame(TEXT, b'"\xe2', is_last=False) + frame(CONTINUATION, b'\x28"'),
        BAD_TEXT,
    ),
    "length of 64 bits": (frame(TEXT, length=(1 << 64) - 1), TOO_LARGE),
    "length of 63 bits": (frame(BINARY, length=(1 << 63) - 1), TOO_LARGE),
    "length of 17 MiB": (frame(BINARY, length=17 * MIB), TOO_LARGE),
    "fragments of 17 MiB": (
        frame(BINARY, b"a" * MIB, is_last=False)
        + frame(CONTINUATION, b"a" * MIB, is_last=False) * 16,
        TOO_LARGE,
    ),
    "two models": (frame(TEXT, b'{"model":"a","model":"b"}'), REFUSED),
    "endless JSON": (frame(TEXT, b'{"model":' + b"[" * 100_000), REFUSED),
}


# What RFC 6455 forbids as well, and the gateway's HTTP library takes: nothing of it gets further.
TOLERATED = {
    "unmasked text": frame(TEXT, b"{}", is_masked=False) + closing(),
    "unmasked ping": frame(PING, is_masked=False) + closing(),
    "length in more bytes than needed": frame(TEXT, b"{}", length_bytes=8) + closing(),
    **{f"close with {code}": closing(code) for code in (1006, 5000, 65535)},
}


@pytest.fixture
def sessions(target: Target) -> Iterator[Target]:
    """The gateway; none of the test's sessions is left open at OpenAI."""
    yield target
    target.must_leave_openai()


@pytest.mark.parametrize(("sent", "code"), BAD.values(), ids=BAD)
def test_a_frame_that_breaks_the_protocol_ends_the_session(
    sessions: Target, sent: bytes, code: int
) -> None:
    assert close_code_after(sessions, sent + closing(1001)) == code


@pytest.mark.parametrize("sent", TOLERATED.values(), ids=TOLERATED)
def test_a_session_with_an_odd_frame_ends_as_the_app_wants(sessions: Target, sent: bytes) -> None:
    assert close_code_after(sessions, sent) == 1000


PAYLOADS = st.one_of(
    st.binary(max_size=130),
    st.sampled_from([b"{}", b'{"type":"response.create"}', b'{"model":"x"}', b"\xff", b"a" * 300]),
)
FRAMES = st.builds(
    frame,
    st.integers(0, 15) | st.sampled_from([CONTINUATION, TEXT, BINARY, PING]),
    PAYLOADS,
    is_last=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 1, 4]),
    is_masked=st.sampled_from([True, True, False]),
)


@bounded
@given(frames=st.lists(FRAMES, max_size=8))
def test_any_frames(sessions: Target, frames: list[bytes]) -> None:
    code = close_code_after(sessions, b"".join(frames) + closing())

    assert code in {1000, BROKEN, BAD_TEXT, REFUSED, TOO_LARGE}


@bounded
@given(frames=st.lists(FRAMES, max_size=4), noise=st.binary(max_size=40), cut=st.integers(0, 60))
def test_any_bytes_cut_anywhere(
    sessions: Target, frames: list[bytes], noise: bytes, cut: int
) -> None:
    sent = b"".join(frames) + noise
    with session_of(sessions) as connection:
        connection.sendall(sent[: max(0, len(sent) - cut)])
        assert sessions.serves()
