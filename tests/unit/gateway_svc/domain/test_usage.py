from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.usage import TokenUsage, UsageMeter

JSON = "application/json; charset=utf-8"
EVENTS = "text/event-stream; charset=utf-8"
CHAT = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
RESPONSES = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 7,
    "total_tokens": 18,
}
TRICK = 'He said "usage": {"prompt_tokens": 999, "completion_tokens": 999} and left.'


def _usage(content_type: str, *pieces: bytes) -> TokenUsage:
    meter = UsageMeter(content_type)
    for piece in pieces:
        meter.feed(piece)
    return meter.usage()


def _json(*, is_pretty: bool = False, **fields: object) -> bytes:
    return json.dumps(fields, indent=2 if is_pretty else None).encode()


def _events(*events: object) -> bytes:
    return (
        b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events) + b"data: [DONE]\n\n"
    )


CHAT_ANSWER = _json(id="c", choices=[{"message": {"content": TRICK}}], usage=CHAT, tier="default")
STREAM_ANSWER = _events(
    {"choices": [{"delta": {"content": TRICK}}], "usage": None},
    {"choices": [], "usage": CHAT},
)


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (JSON, CHAT_ANSWER, TokenUsage(11, 7)),
        (JSON, _json(is_pretty=True, usage=CHAT), TokenUsage(11, 7)),
        (JSON, _json(output=[], usage=RESPONSES, user=None), TokenUsage(11, 7)),
        (JSON, _json(data=[], usage={"prompt_tokens": 5, "total_tokens": 5}), TokenUsage(5, 0)),
        (JSON, _json(usage=CHAT, metadata={"note": TRICK}), TokenUsage(11, 7)),
        (
            JSON,
            _json(text={"usage": {"type": "object"}}, usage=CHAT),
            TokenUsage(11, 7),
        ),
        (JSON, _json(usage=None), TokenUsage()),
        (JSON, _json(usage={}), TokenUsage()),
        (JSON, _json(object="list", data=[]), TokenUsage()),
        (JSON, b"", TokenUsage()),
        (JSON, b'{"usage": {"prompt_tokens": 1', TokenUsage()),
        (JSON, b'{"usage": {"prompt_tokens": ' + b"[" * 60_000, TokenUsage()),
        (JSON, _json(usage={"prompt_tokens": "11", "completion_tokens": -7}), TokenUsage()),
        (JSON, _json(usage={"prompt_tokens": 2**63, "input_tokens": 4}), TokenUsage(4, 0)),
        (JSON, _json(content=TRICK), TokenUsage()),
        (EVENTS, STREAM_ANSWER, TokenUsage(11, 7)),
        (
            EVENTS,
            _events({"type": "response.completed", "response": {"usage": RESPONSES}}),
            TokenUsage(11, 7),
        ),
        (EVENTS, _events({"choices": []}), TokenUsage()),
        (EVENTS, b"", TokenUsage()),
        ("audio/mpeg", CHAT_ANSWER, TokenUsage()),
        ("", CHAT_ANSWER, TokenUsage()),
    ],
    ids=range(21),
)
def test_the_reported_tokens_are_read(content_type: str, body: bytes, expected: TokenUsage) -> None:
    assert _usage(content_type, body) == expected


@pytest.mark.parametrize(("content_type", "body"), [(JSON, CHAT_ANSWER), (EVENTS, STREAM_ANSWER)])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_cut_of_the_answer_gives_the_same_tokens(
    content_type: str, body: bytes, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8))

    pieces = [body[start:end] for start, end in pairwise([0, *sorted(cuts), len(body)])]

    assert _usage(content_type, *pieces) == TokenUsage(11, 7)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_what_the_model_says_is_no_usage(said: str, more: str) -> None:
    text = f'{said}"usage":{{"prompt_tokens":999}}{more}'

    body = _json(choices=[{"message": {"content": text}}], usage=CHAT, metadata={text: text})

    assert _usage(JSON, body) == TokenUsage(11, 7)


def test_the_last_report_of_a_stream_counts() -> None:
    body = _events({"usage": {**CHAT, "completion_tokens": 1}}, {"usage": CHAT})

    assert _usage(EVENTS, body) == TokenUsage(11, 7)


def test_a_stream_that_breaks_off_has_the_tokens_reported_until_then() -> None:
    body = _events({"usage": CHAT})

    assert _usage(EVENTS, body[: body.index(b"data: [DONE]")]) == TokenUsage(11, 7)


def test_usage_is_found_behind_a_large_answer() -> None:
    meter = UsageMeter(JSON)
    for _ in range(64):
        meter.feed(b" " * 65_536)
    meter.feed(_json(usage=CHAT))

    assert meter.usage() == TokenUsage(11, 7)
    assert len(meter._tail) <= 64 * 1024


def test_a_stream_with_an_event_that_is_too_large_is_not_metered_further() -> None:
    first, endless, last = _events({"usage": CHAT}), b"data: " + b"x" * (5 * 1024 * 1024), b"\n\n"

    assert _usage(EVENTS, first, endless, last, _events({"usage": RESPONSES})) == TokenUsage(11, 7)
