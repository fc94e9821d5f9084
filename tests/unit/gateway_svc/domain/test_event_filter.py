from __future__ import annotations

import itertools
import json
from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.event_filter import EventFilter

ERROR_EVENT = b'data: {"error":{"message":"bad key sk-proj-abcd1234"}}\n\n'
FAILED_EVENT = b'data: {"type":"response.failed","m":"sk\\u002dproj-abcd1234"}\n\n'
CONTENT_EVENT = b'data: {"choices":[{"delta":{"content":"say \\"error\\": sk-abcdefgh"}}]}\r\n\r\n'


def _streamed(stream: bytes, cuts: Collection[int]) -> bytes:
    events = EventFilter(removes_usage=False)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [events.feed(stream[start:end]) for start, end in itertools.pairwise(edges)]
    return b"".join(pieces) + events.rest()


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 400), max_size=12))
def test_error_events_lose_the_echo_wherever_the_stream_is_cut(cuts: set[int]) -> None:
    stream = CONTENT_EVENT + ERROR_EVENT + b": comment\n\n" + FAILED_EVENT + b"data: [DONE]\n\n"

    streamed = _streamed(stream, cuts)

    assert b"proj" not in streamed
    assert streamed.startswith(CONTENT_EVENT)
    assert streamed.endswith(b"data: [DONE]\n\n")
    assert streamed.count(b"\n\n") == stream.count(b"\n\n")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sets(st.integers(0, 200), max_size=6))
def test_what_is_no_error_event_passes_byte_for_byte(stream: bytes, cuts: set[int]) -> None:
    assert _streamed(stream, cuts) == stream


def test_a_piece_of_whole_lines_is_not_held_back() -> None:
    assert EventFilter(removes_usage=False).feed(CONTENT_EVENT) == CONTENT_EVENT


def test_an_endless_line_is_not_held_for_ever() -> None:
    events = EventFilter(removes_usage=False)

    assert events.feed(b"data: " + b"x" * 70_000) == b"data: " + b"x" * 70_000


def _event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


CHUNK = {"id": "c", "choices": [{"delta": {"content": 'say ,"usage":null, \\"usage\\": null'}}]}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2}
DONE = b"data: [DONE]\n\n"


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 600), max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_what_was_asked_for_in_the_apps_place_is_taken_out_again(
    cuts: set[int], line_end: str
) -> None:
    asked = _event(**CHUNK, usage=None) * 2 + _event(id="c", choices=[], usage=USAGE) + DONE
    unasked = _event(**CHUNK) * 2 + DONE
    stream = asked.replace(b"\n", line_end.encode())

    events = EventFilter(removes_usage=True)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [events.feed(stream[start:end]) for start, end in itertools.pairwise(edges)]

    passed = b"".join(pieces) + events.rest()
    assert passed == unasked.replace(b"\n", line_end.encode())


@pytest.mark.parametrize(
    "members", ['"usage":null,"id":"c"', '"id":"c","usage":null', '"id":"c", "usage" : null ,"x":1']
)
def test_a_chunk_without_usage_stays_json(members: str) -> None:
    events = EventFilter(removes_usage=True)
    passed = events.feed(f"data: {{{members}}}\n\n".encode())

    assert "usage" not in json.loads(passed[5:])


def test_usage_beside_choices_is_the_apps_own() -> None:
    last = _event(choices=[{"delta": {}}], usage=USAGE)

    assert EventFilter(removes_usage=True).feed(last) == last


def test_an_app_that_asked_itself_gets_the_usage() -> None:
    stream = _event(choices=[], usage=USAGE) + _event(choices=[1], usage=None)

    assert EventFilter(removes_usage=False).feed(stream) == stream


def test_each_event_leaves_when_it_has_come() -> None:
    events = EventFilter(removes_usage=True)

    for _ in range(3):
        assert events.feed(_event(**CHUNK, usage=None)) == _event(**CHUNK)
