from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.usage import Usage, UsageSource
from gateway_svc.domain.usage_meter import UsageMeter

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


Tokens = tuple[int, int]


def _usage(
    content_type: str, *pieces: bytes, method: str = "POST", endpoint: str = "chat/completions"
) -> Usage:
    meter = UsageMeter(method, endpoint, content_type)
    for piece in pieces:
        meter.feed(piece)
    return meter.usage()


def _tokens(content_type: str, *pieces: bytes) -> Tokens:
    usage = _usage(content_type, *pieces)
    return (usage.input_tokens, usage.output_tokens)


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
        (JSON, CHAT_ANSWER, (11, 7)),
        (JSON, _json(is_pretty=True, usage=CHAT), (11, 7)),
        (JSON, _json(output=[], usage=RESPONSES, user=None), (11, 7)),
        (JSON, _json(data=[], usage={"prompt_tokens": 5, "total_tokens": 5}), (5, 0)),
        (JSON, _json(usage=CHAT, metadata={"note": TRICK}), (11, 7)),
        (
            JSON,
            _json(text={"usage": {"type": "object"}}, usage=CHAT),
            (11, 7),
        ),
        (JSON, _json(usage=None), (0, 0)),
        (JSON, _json(usage={}), (0, 0)),
        (JSON, _json(object="list", data=[]), (0, 0)),
        (JSON, b"", (0, 0)),
        (JSON, b'{"usage": {"prompt_tokens": 1', (0, 0)),
        (JSON, b'{"usage": {"prompt_tokens": ' + b"[" * 60_000, (0, 0)),
        (JSON, _json(usage={"prompt_tokens": "11", "completion_tokens": -7}), (0, 0)),
        (JSON, _json(usage={"prompt_tokens": 2**63, "input_tokens": 4}), (4, 0)),
        (JSON, _json(content=TRICK), (0, 0)),
        (EVENTS, STREAM_ANSWER, (11, 7)),
        (
            EVENTS,
            _events({"type": "response.completed", "response": {"usage": RESPONSES}}),
            (11, 7),
        ),
        (EVENTS, _events({"choices": []}), (0, 0)),
        (EVENTS, b"", (0, 0)),
        ("audio/mpeg", CHAT_ANSWER, (0, 0)),
        ("", CHAT_ANSWER, (0, 0)),
    ],
    ids=range(21),
)
def test_the_reported_tokens_are_read(content_type: str, body: bytes, expected: Tokens) -> None:
    assert _tokens(content_type, body) == expected


@pytest.mark.parametrize(("content_type", "body"), [(JSON, CHAT_ANSWER), (EVENTS, STREAM_ANSWER)])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_cut_of_the_answer_gives_the_same_tokens(
    content_type: str, body: bytes, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8))

    pieces = [body[start:end] for start, end in pairwise([0, *sorted(cuts), len(body)])]

    assert _tokens(content_type, *pieces) == (11, 7)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_what_the_model_says_is_no_usage(said: str, more: str) -> None:
    text = f'{said}"usage":{{"prompt_tokens":999}}{more}'

    body = _json(choices=[{"message": {"content": text}}], usage=CHAT, metadata={text: text})

    assert _tokens(JSON, body) == (11, 7)


def test_the_last_report_of_a_stream_counts() -> None:
    body = _events({"usage": {**CHAT, "completion_tokens": 1}}, {"usage": CHAT})

    assert _tokens(EVENTS, body) == (11, 7)


def test_a_stream_that_breaks_off_has_the_tokens_reported_until_then() -> None:
    body = _events({"usage": CHAT})

    assert _tokens(EVENTS, body[: body.index(b"data: [DONE]")]) == (11, 7)


def test_usage_is_found_behind_a_large_answer() -> None:
    meter = UsageMeter("POST", "chat/completions", JSON)
    for _ in range(64):
        meter.feed(b" " * 65_536)
    meter.feed(_json(usage=CHAT))

    assert meter.usage().output_tokens == 7
    assert len(meter._body) <= 1024 * 1024 + 64 * 1024


def test_a_stream_with_an_event_that_is_too_large_is_not_metered_further() -> None:
    first, endless, last = _events({"usage": CHAT}), b"data: " + b"x" * (5 * 1024 * 1024), b"\n\n"

    assert _tokens(EVENTS, first, endless, last, _events({"usage": RESPONSES})) == (11, 7)


def test_what_the_answer_names_is_noted() -> None:
    usage = _usage(JSON, _json(id="chatcmpl-1", model="gpt-4o-2024", usage=CHAT))

    assert (usage.subject, usage.model) == ("chatcmpl-1", "gpt-4o-2024")
    assert usage.source is UsageSource.REPORTED


def test_what_a_stream_names_first_is_noted() -> None:
    response = {"id": "resp_1", "model": "gpt-5"}
    stream = _events(
        {"type": "response.created", "response": response},
        {"type": "response.completed", "response": {**response, "usage": RESPONSES}},
    )
    usage = _usage(EVENTS, stream)

    assert (usage.subject, usage.model, usage.cached_input_tokens) == ("resp_1", "gpt-5", 3)


@pytest.mark.parametrize("name", [7, "", "x" * 257, "é", "a\nb", None, {"a": 1}], ids=ascii)
def test_a_name_that_openai_would_not_send_is_left_out(name: object) -> None:
    usage = _usage(JSON, _json(id=name, model=name, usage=CHAT))

    assert (usage.subject, usage.model, usage.input_tokens) == ("", "", 11)


def test_a_stream_that_breaks_off_before_the_report_has_the_pieces_that_were_seen() -> None:
    chunk = {"id": "c", "model": "m", "choices": [{"delta": {"content": "a"}}], "usage": None}
    empty = {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
    usage = _usage(EVENTS, _events(empty, chunk, chunk, chunk)[:-14])

    assert (usage.output_tokens, usage.source, usage.model) == (3, UsageSource.SEEN, "m")


def test_pieces_of_a_response_are_seen_too() -> None:
    delta = {"type": "response.output_text.delta", "delta": "a"}

    assert _usage(EVENTS, _events(delta, delta)).output_tokens == 2


def test_an_answer_that_reports_nothing_has_no_source() -> None:
    assert _usage(JSON, _json(data=[])).source is UsageSource.NONE


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_what_is_only_read_counts_nothing(method: str) -> None:
    assert _usage(JSON, CHAT_ANSWER, method=method, endpoint="responses/resp_1") == Usage()


@pytest.mark.parametrize(
    ("endpoint", "status", "tokens"),
    [
        ("batches/batch_1", "completed", 11),
        ("batches/batch_1", "in_progress", 0),
        ("batches", "completed", 0),
        ("batches/batch_1/x", "completed", 0),
    ],
)
def test_a_batch_is_counted_once_it_is_completed(endpoint: str, status: str, tokens: int) -> None:
    answer = _json(id="batch_1", status=status, usage=RESPONSES)
    usage = _usage(JSON, answer, method="GET", endpoint=endpoint)

    assert usage.input_tokens == tokens
    assert usage.subject == ("batch_1" if tokens else "")


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_images_are_counted_however_large_they_are(size: int) -> None:
    image = {"b64_json": "A" * size, "revised_prompt": 'a "url" and a "b64_json"'}
    body = _json(created=1, data=[image, image], usage={"input_tokens": 5, "output_tokens": 9})
    pieces = [body[start : start + 60_000] for start in range(0, len(body), 60_000)]
    usage = _usage(JSON, *pieces, endpoint="images/generations")

    assert (usage.images, usage.input_tokens, usage.output_tokens) == (2, 5, 9)


def test_images_without_tokens_are_counted() -> None:
    usage = _usage(JSON, _json(data=[{"url": "x"}]), endpoint="images/generations")

    assert (usage.images, usage.source) == (1, UsageSource.REPORTED)


@pytest.mark.parametrize(
    ("seconds", "counted"),
    [(12, 12.0), (1.5, 1.5), (-1, 0.0), ("3", 0.0), (True, 0.0), (10**400, 0.0), (None, 0.0)],
    ids=["whole", "part", "negative", "text", "bool", "endless", "none"],
)
def test_audio_is_counted_in_seconds_where_openai_does(seconds: object, counted: float) -> None:
    body = _json(text="hello", usage={"type": "duration", "seconds": seconds})

    assert _usage(JSON, body, endpoint="audio/transcriptions").audio_seconds == counted
