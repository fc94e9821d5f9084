from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.token_bounds import (
    MAX_ANSWERS,
    MAX_TOKEN_BOUND,
    TokenBounds,
    bounds_beside_json,
    token_bounds,
)

SIZE = 100
TEXT = {"role": "user", "content": "Hello"}
FUNCTION = {"type": "function", "function": {"name": "find", "parameters": {"prompt": {}}}}
_NUMBERS = st.integers(-1, 2**40)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
_LIMITS = ["best_of", "max_completion_tokens", "max_output_tokens", "max_tokens", "n"]
_NAMES = st.sampled_from([*_LIMITS, "input", "messages", "prediction", "prompt", "tools"])
_ENDPOINTS = ["chat/completions", "completions", "embeddings", "responses", "batches"]


def _chat(**fields: object) -> dict[str, object]:
    return {"model": "m", "messages": [TEXT], **fields}


def _response(**fields: object) -> dict[str, object]:
    return {"model": "m", "input": "Hello", **fields}


def _message(content: object) -> dict[str, object]:
    return _chat(messages=[TEXT, {"role": "user", "content": content}])


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("chat/completions", _chat()),
        ("chat/completions", _message([{"type": "text", "text": "Hello"}])),
        ("chat/completions", _chat(tools=[FUNCTION, {"type": "custom", "custom": {}}])),
        ("chat/completions", _chat(messages=[{"role": "assistant", "audio": None}])),
        ("chat/completions", _chat(messages=[TEXT | {"tool_calls": [], "annotations": []}])),
        ("chat/completions", _chat(tools=None, conversation=None)),
        ("completions", {"model": "m", "prompt": "Hello"}),
        ("embeddings", {"model": "m", "input": ["Hello", [1, 2], 3]}),
        ("moderations", {"input": [{"type": "text", "text": "Hello"}]}),
        ("audio/speech", {"model": "m", "input": "Hello"}),
        ("images/generations", {"model": "m", "prompt": "A lake"}),
        ("responses", _response()),
        ("responses", _response(instructions="Be brief.", tools=[{"type": "function"}])),
        ("responses", _response(input=[TEXT, TEXT | {"type": "message"}])),
        ("responses", _response(input=[{"type": "function_call", "id": "f", "arguments": "{}"}])),
        ("responses", _response(input=[{"type": "function_call_output", "output": "1"}])),
    ],
    ids=str,
)
def test_a_prompt_that_stands_in_the_body_is_bounded_by_its_bytes(
    endpoint: str, body: dict[str, object]
) -> None:
    assert token_bounds(endpoint, body, SIZE).input == SIZE


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("chat/completions", {"model": "m"}),
        ("chat/completions", _message([{"type": "image_url", "image_url": {"url": "data:"}}])),
        ("chat/completions", _message([{"type": "input_audio", "input_audio": {}}])),
        ("chat/completions", _message([{"type": "file", "file": {"file_id": "file-1"}}])),
        ("chat/completions", _message([{"type": "text"}, {"type": ["text"]}])),
        ("chat/completions", _message({"file_id": "file-1"})),
        ("chat/completions", _chat(messages=[{"role": "assistant", "audio": {"id": "audio_1"}}])),
        ("chat/completions", _chat(messages="Hello")),
        ("chat/completions", _chat(messages=["Hello"])),
        ("chat/completions", _chat(tools=[FUNCTION, {"type": "web_search"}])),
        ("chat/completions", _chat(tools=[{}])),
        ("chat/completions", _chat(tools={"0": FUNCTION})),
        ("chat/completions", _chat(web_search_options={})),
        ("embeddings", {"model": "m", "input": [{"type": "image_url", "image_url": "https:"}]}),
        ("moderations", {"input": [{"type": "image_url", "image_url": {}}]}),
        ("responses", _response(previous_response_id="resp_1")),
        ("responses", _response(conversation="conv_1")),
        ("responses", _response(prompt={"id": "pmpt_1"})),
        ("responses", _response(context_management=[{}])),
        ("responses", _response(instructions=[{"type": "item_reference", "id": "msg_1"}])),
        ("responses", _response(tools=[{"type": "file_search", "vector_store_ids": ["vs_1"]}])),
        ("responses", _response(tools=[{"type": "mcp", "server_url": "https:"}])),
        ("responses", _response(input=[{"type": "item_reference", "id": "msg_1"}])),
        ("responses", _response(input=[{"id": "msg_1"}])),
        ("responses", _response(input=[{"type": None, "id": "msg_1"}])),
        ("responses", _response(input=[{"type": "reasoning", "id": "rs_1", "summary": []}])),
        ("responses", _response(input=[TEXT | {"content": [{"type": "input_image"}]}])),
        ("responses", _response(input=[{"type": "function_call_output", "output": [{}]}])),
        ("responses", _response(input=["Hello"])),
        ("responses", _response(input={"text": "Hello"})),
        ("batches", {"input_file_id": "file-1"}),
        ("threads/thread_1/runs", {"assistant_id": "asst_1"}),
        ("realtime/client_secrets", {"session": {"model": "m"}}),
        ("Chat/completions", _chat()),
    ],
    ids=str,
)
def test_a_prompt_that_is_not_all_text_in_the_body_has_no_bound(
    endpoint: str, body: dict[str, object]
) -> None:
    assert token_bounds(endpoint, body, SIZE).input == 0


@pytest.mark.parametrize("endpoint", ["chat/completions", "responses"])
@pytest.mark.parametrize(
    "written", [r'{"previous\u005fresponse_id":"r"}', r'{"tools":[{"type":"\u006dcp"}]}']
)
def test_a_reference_counts_however_it_is_written(endpoint: str, written: str) -> None:
    body = {"messages": [TEXT], "input": "Hello", **json.loads(written)}

    assert token_bounds(endpoint, body, SIZE).input == 0


@pytest.mark.parametrize(
    ("endpoint", "limits", "bound"),
    [
        ("chat/completions", {}, 0),
        ("chat/completions", {"max_completion_tokens": 100}, 100),
        ("chat/completions", {"max_tokens": 100}, 100),
        ("chat/completions", {"max_tokens": 100, "max_completion_tokens": 50}, 100),
        ("chat/completions", {"max_tokens": 100, "n": 3}, 300),
        ("chat/completions", {"max_tokens": 100, "prediction": {"content": "x"}}, 100 + SIZE),
        ("chat/completions", {"max_output_tokens": 100}, 0),
        ("completions", {"max_tokens": 100, "n": 2, "best_of": 5}, 500),
        ("completions", {"max_tokens": 100, "prompt": "a"}, 100),
        ("completions", {"max_tokens": 100, "prompt": ["a", "b", "c"]}, 300),
        ("completions", {"max_tokens": 100, "prompt": [[1, 2], [3]]}, 200),
        ("completions", {"max_tokens": 100, "prompt": [1, 2, 3]}, 100),
        ("completions", {"max_tokens": 100, "prompt": []}, 100),
        ("completions", {"max_completion_tokens": 100}, 0),
        ("responses", {"max_output_tokens": 100}, 100),
        ("responses", {"max_tokens": 100}, 0),
        ("embeddings", {"max_tokens": 100}, 0),
        ("images/generations", {"n": 2}, 0),
    ],
    ids=str,
)
def test_an_answer_is_bounded_by_the_limit_that_its_endpoint_knows(
    endpoint: str, limits: dict[str, object], bound: int
) -> None:
    assert token_bounds(endpoint, limits, SIZE).output == bound


@pytest.mark.parametrize("limit", [None, 0, -1, 1.5, True, "100", [100], 2**31], ids=str)
def test_a_limit_that_is_no_count_bounds_nothing(limit: object) -> None:
    for extra in (
        {"max_tokens": limit},
        {"max_tokens": 10, "max_completion_tokens": limit},
    ):
        assert token_bounds("chat/completions", extra, SIZE).output == 0


def test_what_is_more_than_the_key_service_takes_is_not_bounded() -> None:
    most = {"max_tokens": 10**6, "n": 10**6}
    beyond = {"max_tokens": 10**6 + 1, "n": 10**6}

    assert token_bounds("completions", most, SIZE).output == MAX_TOKEN_BOUND
    assert token_bounds("completions", beyond, MAX_TOKEN_BOUND + 1) == TokenBounds(0, 0, 10**6)


@pytest.mark.parametrize(
    ("endpoint", "body", "answers"),
    [
        ("chat/completions", {}, 1),
        ("chat/completions", {"n": None, "best_of": None}, 1),
        ("chat/completions", {"n": 3}, 3),
        ("completions", {"n": 2, "best_of": 5, "prompt": "a"}, 5),
        ("completions", {"n": 2, "prompt": ["a", "b", "c"]}, 6),
        ("completions", {"prompt": [[1, 2], [3]]}, 2),
        ("completions", {"prompt": [1, 2, 3]}, 1),
        ("completions", {"n": 128, "prompt": ["a"] * 10_000}, MAX_ANSWERS),
        ("images/generations", {"n": 10, "prompt": "A lake"}, 10),
        ("responses", {"prompt": ["a", "b"]}, 1),
    ],
    ids=lambda value: str(value)[:40],
)
def test_all_answers_that_a_body_asks_for_are_counted(
    endpoint: str, body: dict[str, object], answers: int
) -> None:
    assert token_bounds(endpoint, body, SIZE).answers == answers


@pytest.mark.parametrize("name", ["n", "best_of"])
@pytest.mark.parametrize("count", [0, -1, 1.5, True, "3", [3], 10**6 + 1, 2**31], ids=str)
def test_what_is_no_count_of_answers_counts_as_the_most(name: str, count: object) -> None:
    bounds = token_bounds("chat/completions", {"max_tokens": 10, name: count}, SIZE)

    assert (bounds.answers, bounds.output) == (MAX_ANSWERS, 10 * MAX_ANSWERS)


@pytest.mark.parametrize(
    ("endpoint", "body", "does_run"),
    [
        ("chat/completions", _chat(), False),
        ("chat/completions", _chat(tools=[FUNCTION, {"type": "custom"}], prompt="a"), False),
        ("chat/completions", _chat(tools=None, web_search_options=None), False),
        ("chat/completions", _chat(tools=[FUNCTION, {"type": "web_search"}]), True),
        ("chat/completions", _chat(tools=[{}]), True),
        ("chat/completions", _chat(tools={"0": FUNCTION}), True),
        ("chat/completions", _chat(web_search_options={}), True),
        ("completions", {"model": "m", "prompt": "a"}, False),
        ("images/generations", {"model": "m", "prompt": "a"}, False),
        ("responses", _response(previous_response_id="resp_1", conversation="conv_1"), False),
        ("responses", _response(tools=[{"type": "mcp", "server_url": "https:"}]), True),
        ("responses", _response(prompt={"id": "pmpt_1"}), True),
        ("responses/compact", _response(), False),
        ("threads/thread_1/runs", {"assistant_id": "asst_1", "model": "m"}, True),
        ("fine_tuning/jobs", {"model": "m", "training_file": "file-1"}, True),
        ("batches", {"input_file_id": "file-1"}, True),
        ("Responses", _response(), True),
    ],
    ids=str,
)
def test_what_lets_openai_go_on_by_itself_is_told(
    endpoint: str, body: dict[str, object], *, does_run: bool
) -> None:
    assert token_bounds(endpoint, body, SIZE).runs_tools is does_run


def test_a_form_may_ask_for_as_many_images_as_openai_makes() -> None:
    assert bounds_beside_json("images/edits") == TokenBounds(answers=10)
    assert bounds_beside_json("audio/transcriptions") == TokenBounds()
    assert bounds_beside_json("threads/thread_1/runs") == TokenBounds(runs_tools=True)


@settings(max_examples=200, deadline=None)
@given(
    endpoint=st.sampled_from(_ENDPOINTS),
    body=st.dictionaries(_NAMES, _VALUES),
    size=st.integers(0, 2**40),
)
def test_bounds_of_any_body_are_what_the_key_service_takes(
    endpoint: str, body: dict[str, object], size: int
) -> None:
    bounds = token_bounds(endpoint, body, size)

    assert 0 <= bounds.input <= MAX_TOKEN_BOUND
    assert 0 <= bounds.output <= MAX_TOKEN_BOUND < 2**64
    assert 1 <= bounds.answers <= MAX_ANSWERS < 2**32
