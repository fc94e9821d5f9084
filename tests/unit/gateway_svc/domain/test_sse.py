from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.sse import EventDecoder

STREAM = (
    b": comment\n\n"
    b'data: {"a":1}\n\n'
    b"event: delta\r\nid: 7\r\ndata: two\r\ndata:  lines\r\n\r\n"
    b"retry: 100\n\n"
    b"data:no space\n\n\n"
    b"data\n\n"
    b"data:\n\n"
    b"database: x\n\n"
    b"data: [DONE]\n\n"
    b"data: never ended"
)
EVENTS = [b'{"a":1}', b"two\n lines", b"no space", b"", b"[DONE]"]


def test_the_data_of_each_event_is_read() -> None:
    assert EventDecoder().feed(STREAM) == EVENTS


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut_of_the_stream_gives_the_same_events(cuts: list[int]) -> None:
    decoder = EventDecoder()

    events = [
        event
        for start, end in pairwise([0, *sorted(cuts), len(STREAM)])
        for event in decoder.feed(STREAM[start:end])
    ]

    assert events == EVENTS


def test_single_bytes_give_the_same_events() -> None:
    decoder = EventDecoder()

    assert [e for byte in STREAM for e in decoder.feed(bytes([byte]))] == EVENTS


def test_an_event_comes_as_soon_as_it_is_whole() -> None:
    decoder = EventDecoder()

    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\ndata: b") == [b"a"]
    assert decoder.feed(b"\n\n") == [b"b"]


@pytest.mark.parametrize(
    "filler", [b"x", b"x" * 999 + b"\ndata: ", b"\ndata:"], ids=["one line", "lines", "empty lines"]
)
def test_an_event_without_end_is_not_kept(filler: bytes) -> None:
    decoder = EventDecoder()
    decoder.feed(b"data: ")

    with pytest.raises(ValueError, match="4 MiB"):
        decoder.feed(filler * (5 * 1024 * 1024 // len(filler)))


def test_many_events_may_be_larger_than_one_together() -> None:
    event = b"data: " + b"x" * (1024 * 1024) + b"\n\n"

    assert len(EventDecoder().feed(event * 8)) == 8
