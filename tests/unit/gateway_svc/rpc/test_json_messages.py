from __future__ import annotations

import json
import math

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.errors import UpstreamAnswerUnusableError
from gateway_svc.rpc.json_messages import fill, to_object
from gateway_svc.rpc.json_values import JSONValue
from keyturn.gateway.v1.chat_completion_pb2 import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatMessage,
    FunctionCall,
)
from keyturn.gateway.v1.chat_completion_service_pb2 import ChatCompletionParameters
from svc_runtime.service_error import InvalidFieldError

ANSWER: dict[str, JSONValue] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 1,
            "message": {
                "role": "assistant",
                "content": "Grüße",
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a": 1'},
                    }
                ],
                "annotations": [],
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 3, "share": 0.5},
    },
    "service_tier": "default",
}


def _filled(message: Message, source: dict[str, JSONValue]) -> dict[str, JSONValue]:
    fill(message, source)
    return to_object(message, "answer")


def _same_json(left: object, right: object) -> bool:
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def test_an_answer_comes_back_as_it_went_in() -> None:
    assert _same_json(_filled(ChatCompletion(), ANSWER), ANSWER)


def test_known_fields_are_typed_and_others_travel_in_the_extension() -> None:
    completion = ChatCompletion()
    fill(completion, ANSWER)

    assert completion.usage.prompt_tokens == 11
    assert completion.choices[0].message.tool_calls[0].function.name == "f"
    assert set(completion.extension.fields) == {"object", "service_tier"}
    assert set(completion.choices[0].extension.fields) == {"logprobs"}
    assert set(completion.usage.extension.fields) == {"prompt_tokens_details"}


def test_null_and_an_empty_list_are_told_from_absence() -> None:
    chunk = ChatCompletionChunk()
    source: dict[str, JSONValue] = {"id": "c", "choices": [], "usage": None}
    fill(chunk, source)

    assert not chunk.HasField("usage")
    assert set(chunk.extension.fields) == {"choices", "usage"}
    assert to_object(chunk, "chunk") == source


def test_parameters_are_sent_by_openais_names() -> None:
    parameters = ChatCompletionParameters(
        model="gpt-4o",
        messages=[ChatMessage(role="user", content="hi", name="bob")],
        temperature=0.0,
        n=0,
        max_completion_tokens=5,
        stop=["a", "b"],
        seed=-1,
    )
    parameters.tools.add().update({"type": "function", "function": {"strict": True}})
    parameters.tool_choice.string_value = "auto"
    parameters.response_format.update({"type": "json_object"})
    parameters.extension.update({"user": "u", "max_tokens": 5, "logit_bias": {"50256": -100}})

    assert to_object(parameters, "parameters") == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi", "name": "bob"}],
        "temperature": 0.0,
        "n": 0,
        "max_completion_tokens": 5,
        "stop": ["a", "b"],
        "seed": -1,
        "tools": [{"type": "function", "function": {"strict": True}}],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "user": "u",
        "max_tokens": 5,
        "logit_bias": {"50256": -100},
    }


def test_an_absent_field_is_not_sent() -> None:
    assert to_object(ChatCompletionParameters(), "parameters") == {}


def test_a_null_of_the_app_is_sent_as_null() -> None:
    parameters = ChatCompletionParameters()
    parameters.tool_choice.null_value = 0  # type: ignore[assignment]  # the enum's only value
    parameters.extension.update({"user": None})

    assert to_object(parameters, "parameters") == {"tool_choice": None, "user": None}


@pytest.mark.parametrize(
    "content",
    ["hi", "", [], [{"type": "text", "text": "hi"}, {"type": "image_url", "detail": {"w": 2}}]],
)
def test_content_is_text_or_parts(content: JSONValue) -> None:
    source = {"role": "user", "content": content}

    assert _filled(ChatMessage(), source) == source


def test_content_of_another_form_is_not_lost() -> None:
    message = ChatMessage()
    fill(message, {"content": ["text", {"type": "text"}]})

    assert [v.WhichOneof("kind") for v in message.extension["content"].values] == [  # type: ignore[union-attr]  # a list here
        "string_value",
        "struct_value",
    ]


@pytest.mark.parametrize("name", ["model", "messages", "stop", "stream"])
def test_an_extension_must_not_name_what_is_set_or_reserved(name: str) -> None:
    parameters = ChatCompletionParameters(model="gpt-4o", stop=["a"], messages=[ChatMessage()])
    parameters.extension.update({name: "o1"})

    with pytest.raises(InvalidFieldError) as caught:
        to_object(parameters, "parameters", reserved={"stream"})

    assert caught.value.field == "parameters.extension"


def test_an_extension_may_hold_what_the_field_of_its_name_cannot() -> None:
    parameters = ChatCompletionParameters(model="gpt-4o")
    parameters.extension.update({"stop": None, "extension": 1})

    assert to_object(parameters, "parameters") == {"model": "gpt-4o", "stop": None, "extension": 1}


def test_a_nested_extension_is_named_by_its_path() -> None:
    parameters = ChatCompletionParameters(messages=[ChatMessage(role="user", content="hi")])
    parameters.messages[0].extension.update({"content": "other"})

    with pytest.raises(InvalidFieldError) as caught:
        to_object(parameters, "parameters")

    assert caught.value.field == "parameters.messages.extension"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf], ids=str)
def test_a_number_that_json_has_not_is_refused(number: float) -> None:
    by_field = ChatCompletionParameters(temperature=number)
    by_extension = ChatCompletionParameters()
    by_extension.extension.update({"a": [number]})
    by_choice = ChatCompletionParameters()
    by_choice.tool_choice.number_value = number
    by_part = ChatMessage()
    by_part.content_parts.parts.add().update({"a": number})

    assert _refused_field(by_field) == "parameters.temperature"
    assert _refused_field(by_extension) == "parameters.extension"
    assert _refused_field(by_choice) == "parameters.tool_choice"
    assert _refused_field(by_part) == "parameters.content_parts"


def _refused_field(message: Message) -> str:
    with pytest.raises(InvalidFieldError) as caught:
        to_object(message, "parameters")
    return caught.value.field


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1, "1"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (2**53 - 1, "9007199254740991"),
        (-7, "-7"),
        (True, "true"),
    ],
)
def test_whole_numbers_stay_whole(number: float, written: str) -> None:
    parameters = ChatCompletionParameters()
    parameters.extension.update({"x": [{"y": number}]})

    assert json.dumps(to_object(parameters, "p")) == f'{{"x": [{{"y": {written}}}]}}'


@pytest.mark.parametrize("number", [2**53, -(2**53), 1e300])
def test_a_whole_number_that_may_have_been_rounded_is_refused(number: float) -> None:
    parameters = ChatCompletionParameters()
    parameters.extension.update({"x": [{"y": number}]})

    assert _refused_field(parameters) == "parameters.extension"


@pytest.mark.parametrize("number", [2**53, -(2**53), 10**400])
def test_a_whole_number_that_a_double_may_not_hold_arrives_as_its_digits(number: int) -> None:
    completion = ChatCompletion()
    fill(completion, {"x": number, "y": 2**53 - 1})

    assert completion.extension["x"] == str(number)
    assert completion.extension["y"] == 2**53 - 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created", -1),
        ("created", 2**32),
        ("created", 1.5),
        ("created", "now"),
        ("model", 7),
        ("model", ["a"]),
        ("usage", [1]),
        ("usage", "none"),
        ("choices", "none"),
        ("choices", [1, {}]),
        ("choices", {"index": 1}),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_its_field_travels_in_the_extension(
    name: str, value: JSONValue
) -> None:
    completion = ChatCompletion()
    fill(completion, {"id": "c", name: value})

    assert set(completion.extension.fields) == {name}
    assert completion.id == "c"


@pytest.mark.parametrize("name", ["extension", "unknown"])
def test_a_field_that_only_sounds_like_ours_travels_in_the_extension(name: str) -> None:
    completion = ChatCompletion()
    fill(completion, {name: {"a": 1}})

    assert set(completion.extension.fields) == {name}


@pytest.mark.parametrize(
    "source",
    [
        {"id": "\ud800canary"},
        {"x": "\ud800canary"},
        {"x": math.inf},
        {"choices": [{"message": {"content": "\udc00canary"}}]},
        {"choices": [{"message": {"content": [{"text": "\udc00canary"}]}}]},
    ],
    ids=range(5),
)
def test_an_answer_that_no_message_can_hold_is_unusable(source: dict[str, JSONValue]) -> None:
    with pytest.raises(UpstreamAnswerUnusableError) as caught:
        fill(ChatCompletion(), source)

    assert caught.value.__context__ is None


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9).filter(
    lambda x: not x.is_integer()
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
UNKNOWN = st.dictionaries(TEXTS.map(lambda name: f"x-{name}"), VALUES, max_size=3)
MESSAGES = st.builds(
    lambda role, content, unknown: {"role": role, "content": content, **unknown},
    st.sampled_from(["user", "assistant"]),
    TEXTS | st.lists(st.dictionaries(TEXTS, VALUES, max_size=2), max_size=2),
    UNKNOWN,
)


@settings(max_examples=60, deadline=None)
@given(MESSAGES)
def test_any_message_comes_back_as_it_went_in(source: dict[str, JSONValue]) -> None:
    assert _same_json(_filled(ChatMessage(), source), source)


@pytest.mark.parametrize("call", [{"name": "f", "arguments": ""}, {"name": "f"}], ids=str)
def test_empty_arguments_of_a_tool_call_are_told_from_absent_ones(call: dict[str, str]) -> None:
    message = FunctionCall()

    fill(message, dict(call))

    assert to_object(message, "call") == call
