from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.key_echo import ErrorEvents, without_key_echo

KEY_CHARACTERS = re.compile(rb"sk-[A-Za-z0-9_*-]{4,}")


@pytest.mark.parametrize(
    ("echo", "rest"),
    [
        (b"sk-proj-********************************wxyz", b""),
        (b"sk-svcacct-****abcd", b""),
        (b"sk-abcde***************************************wxyz", b""),
        (b"sk-****", b""),
        (b"sk-abc...wxyz", b""),
        ("sk-abc…wxyz".encode(), b""),
        (b"sk-proj-A1_b2-C3", b""),
        (b"sk-proj-abcd", b'"'),
        (b"sk-proj-abcd", b"'"),
        (b"sk-proj-abcd", b"\\n"),
        (b"sk-proj-abcd", b", and sk-"),
    ],
)
def test_what_openai_repeats_of_a_key_is_replaced(echo: bytes, rest: bytes) -> None:
    body = b'{"error":{"message":"Incorrect API key provided: ' + echo + rest + b'"}}'

    replaced = without_key_echo(body)

    assert replaced == b'{"error":{"message":"Incorrect API key provided: [key]' + rest + b'"}}'


def test_every_echo_is_replaced() -> None:
    assert without_key_echo(b"sk-aaaa sk-bbbb,sk-cccc") == b"[key] [key],[key]"


@pytest.mark.parametrize(
    "body", [b"", b"sk-", b"sk-abc", b"ask-me", b"task-", b'{"code":"x"}', b"\xff\x00"]
)
def test_what_is_no_echo_stays(body: bytes) -> None:
    assert without_key_echo(body) == body


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"sk-", b"sk", b"-", b"*", b"a", b"Z9", b".", b" ", b'"', b"\\u2026"])
        | st.binary(max_size=4),
        max_size=20,
    ).map(b"".join)
)
def test_nothing_that_looks_like_a_key_is_left(body: bytes) -> None:
    replaced = without_key_echo(body)

    assert KEY_CHARACTERS.search(replaced) is None
    assert without_key_echo(replaced) == replaced


def test_an_echo_that_json_spells_otherwise_is_taken_out() -> None:
    spelled = rb'{"error":{"message":"Incorrect API key: sk\u002dproj\u002dabcd1234\u0065fgh"}}'

    assert json.loads(without_key_echo(spelled)) == {
        "error": {"message": "Incorrect API key: [key]"}
    }


def test_a_json_error_without_an_echo_stays_byte_for_byte() -> None:
    body = b'{ "error" : {"message": "Rate limit reached \\u00e9"} }\n'

    assert without_key_echo(body) == body


ERROR_EVENT = b'data: {"error":{"message":"bad key sk-proj-abcd1234"}}\n\n'
FAILED_EVENT = b'data: {"type":"response.failed","m":"sk\\u002dproj-abcd1234"}\n\n'
CONTENT_EVENT = b'data: {"choices":[{"delta":{"content":"say \\"error\\": sk-abcdefgh"}}]}\r\n\r\n'


def _streamed(stream: bytes, cuts: Collection[int]) -> bytes:
    events = ErrorEvents()
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
    assert ErrorEvents().feed(CONTENT_EVENT) == CONTENT_EVENT


def test_an_endless_line_is_not_held_for_ever() -> None:
    events = ErrorEvents()

    assert events.feed(b"data: " + b"x" * 70_000) == b"data: " + b"x" * 70_000
