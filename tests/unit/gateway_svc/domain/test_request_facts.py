from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.request_facts import MAX_BODY_BYTES, RequestFacts, facts_of
from gateway_svc.domain.token_bounds import TokenBounds
from svc_runtime.service_error import InvalidFieldError

CHAT = Endpoint.parse("chat/completions")
FILES = Endpoint.parse("files")
JSON = "application/json"


def _facts(
    body: bytes,
    endpoint: Endpoint = CHAT,
    content_type: str = JSON,
    method: str = "POST",
    query: str = "",
    encoding: str = "",
) -> RequestFacts:
    headers = (("content-type", content_type), ("content-encoding", encoding))
    return facts_of(method, endpoint, query, headers, body)


def _refusal(body: bytes, endpoint: Endpoint = CHAT, content_type: str = JSON) -> InvalidFieldError:
    with pytest.raises(InvalidFieldError) as caught:
        _facts(body, endpoint, content_type)
    return caught.value


@pytest.mark.parametrize(
    "content_type", [JSON, "application/json; charset=utf-8", " Application/JSON ; charset=UTF-8"]
)
def test_the_model_is_read_from_a_json_body(content_type: str) -> None:
    assert _facts(b'{"model":"gpt-4o"}', content_type=content_type).model == "gpt-4o"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"model"',
        b"null",
        b"1",
        b" ",
        b"{}{}",
        b'{"model":"gpt-4o"} x',
        b'{"model":"gpt-4o",}',
        b"{'model':'gpt-4o'}",
        b'{"model":"gpt-4o","x":NaN}',
        b'{"model":"gpt-4o","x":Infinity}',
        b'{"model":"gpt-4o","x":-Infinity}',
        b'{"model":"gpt-4o","x":' + b"9" * 5000 + b"}",
        b'{"model":"gpt-4o","x":"\xff"}',
        b'{"model":"gpt-4o","x":"\n"}',
        b'\xef\xbb\xbf{"model":"gpt-4o"}',
        '{"model":"gpt-4o"}'.encode("utf-16"),
        '{"model":"gpt-4o"}'.encode("utf-16-le"),
        '{"model":"gpt-4o"}'.encode("utf-32"),
        b'{"model":"gpt-4o","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"gpt-4o","x":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b'{"model":"gpt-4o","model":"o1"}',
        b'{"model":"gpt-4o","model":"gpt-4o"}',
        b'{"model":"gpt-4o","m\\u006fdel":"o1"}',
        b'{"model":"gpt-4o","x":{"a":1,"a":2}}',
        b'{"model":"gpt-4o","x":[{"a":1,"a":2}]}',
    ],
    ids=lambda body: ascii(body[:40]),
)
def test_a_body_that_could_be_read_in_two_ways_or_none_is_refused(body: bytes) -> None:
    refusal = _refusal(body)

    assert (refusal.field, refusal.__context__) == ("body", None)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonl",
    ],
)
def test_a_body_of_another_type_is_refused(content_type: str) -> None:
    assert _refusal(b'{"model":"gpt-4o"}', FILES, content_type).field == "content-type"


@pytest.mark.parametrize("endpoint", ["chat/completions", "completions", "embeddings"])
@pytest.mark.parametrize("body", [b"{}", b'{"model":null}', b'{"model":""}'])
def test_a_model_must_be_named_where_one_is_needed(endpoint: str, body: bytes) -> None:
    assert _refusal(body, Endpoint.parse(endpoint)).field == "model"


def test_a_body_must_be_there_where_a_model_is_needed() -> None:
    assert _refusal(b"").field == "body"


@pytest.mark.parametrize(
    ("method", "endpoint"), [("GET", "chat/completions"), ("POST", "responses/r_1/cancel")]
)
def test_a_request_without_a_body_names_no_model(method: str, endpoint: str) -> None:
    assert facts_of(method, Endpoint.parse(endpoint), "", (), b"") == RequestFacts()


def test_a_model_may_be_absent_elsewhere() -> None:
    assert _facts(b'{"input":"x"}', Endpoint.parse("moderations")).model == ""


@pytest.mark.parametrize("model", [["gpt-4o"], {"a": 1}, 7, True, 1.5])
def test_a_model_that_is_no_text_is_refused(model: object) -> None:
    assert _refusal(json.dumps({"model": model}).encode()).field == "model"


@pytest.mark.parametrize(
    "model", ["a" * 257, "gpt\n4o", "gpt\0", "gpt-é", "gpt\u202e", "\ud800"], ids=ascii
)
def test_a_model_that_cannot_be_a_name_is_refused(model: str) -> None:
    assert _refusal(json.dumps({"model": model}).encode()).field == "model"


def test_a_body_of_10_mib_is_read_and_one_byte_more_is_not() -> None:
    frame = len(b'{"model":"gpt-4o","x":""}')
    fitting = b'{"model":"gpt-4o","x":"' + b"a" * (MAX_BODY_BYTES - frame) + b'"}'

    assert _facts(fitting).model == "gpt-4o"
    assert _refusal(fitting + b" ").rule == "must have at most 10 MiB"


def test_a_request_is_bounded_by_the_bytes_of_its_plain_body() -> None:
    body = json.dumps({"model": "m", "max_tokens": 7, "n": 2, "messages": []}).encode()

    bounds = TokenBounds(len(body), 14, 2)
    assert _facts(body).token_bounds == bounds
    assert _facts(gzip.compress(body), encoding="gzip").token_bounds == bounds


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    try:
        facts = _facts(body)
    except InvalidFieldError:
        return

    assert facts.model


@pytest.mark.parametrize(
    ("body", "more_models"),
    [
        (b'{"model":"gpt-4o","tools":[{"type":"image_generation","model":"gpt-image-1"}]}', 1),
        (b'{"model":"gpt-4o","session":{"model":"gpt-realtime"}}', 1),
        (b'{"model":"gpt-4o","Model":"o1"}', 1),
        (b'{"model":"gpt-4o","x":{"MODEL":"gpt-4o"}}', 0),
        (b'{"model":"gpt-4o","x":[[{"model":"a"}],{"model":"b"}]}', 2),
        (b'{"model":"gpt-4o","tools":[{"parameters":{"model":{"type":"string"}}}]}', 0),
        (b'{"model":"gpt-4o","model_kwargs":{"models":"x"}}', 0),
    ],
)
def test_models_are_found_wherever_a_body_names_them(body: bytes, more_models: int) -> None:
    facts = _facts(body)

    assert facts.model == "gpt-4o"
    assert len(facts.more_models) == more_models


def test_a_body_that_names_more_models_than_the_contract_takes_is_refused() -> None:
    tools = ",".join(f'{{"model":"m{number}"}}' for number in range(17))

    assert _refusal(f'{{"model":"gpt-4o","tools":[{tools}]}}'.encode()).field == "model"


def test_a_malformed_model_inside_is_refused() -> None:
    assert _refusal(b'{"model":"gpt-4o","x":{"model":"a\\nb"}}').field == "model"


@pytest.mark.parametrize("mark", [b"[],", b'{"a":1},'])
def test_a_body_of_nothing_but_structure_is_refused_before_it_is_parsed(mark: bytes) -> None:
    body = b'{"model":"gpt-4o","x":[' + mark * 300_000 + b"1]}"

    assert _refusal(body).field == "body"
