from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionToolParam

_TOOLS: list[ChatCompletionToolParam] = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
]


async def test_the_reply_repeats_the_last_user_message(sdk: openai.AsyncOpenAI) -> None:
    completion = await sdk.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": None},
            {"role": "user", "content": "good morning"},
        ],
    )

    assert completion.choices[0].message.content == "You said: good morning"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "gpt-4o-mini"
    assert completion.id.startswith("chatcmpl-")


async def test_a_reply_in_json_is_the_question_alone(sdk: openai.AsyncOpenAI) -> None:
    completion = await sdk.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": '{"a": 1}'}],
        response_format={"type": "json_object"},
    )

    assert completion.choices[0].message.content == '{"a": 1}'


async def test_usage_counts_words(sdk: openai.AsyncOpenAI) -> None:
    completion = await sdk.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "one two three"}], n=2
    )

    usage = completion.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 10, 13)


async def test_content_may_be_a_list_of_parts(sdk: openai.AsyncOpenAI) -> None:
    completion = await sdk.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look "},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                    {"type": "text", "text": "here"},
                ],
            }
        ],
    )

    assert completion.choices[0].message.content == "You said: look here"


async def test_half_a_surrogate_pair_does_not_break_the_answer(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "\ud83d ü"}]}

    async with http.post("chat/completions", json=body, headers=working_key) as response:
        completion = await response.json()

    assert completion["choices"][0]["message"]["content"] == "You said: ? ü"


async def test_n_gives_as_many_choices(sdk: openai.AsyncOpenAI) -> None:
    completion = await sdk.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], n=3
    )

    assert [choice.index for choice in completion.choices] == [0, 1, 2]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_a_token_limit_cuts_the_reply(
    http: aiohttp.ClientSession, working_key: dict[str, str], name: str
) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "a b c"}], name: 3}

    async with http.post("chat/completions", json=body, headers=working_key) as response:
        choice = (await response.json())["choices"][0]

    assert choice["message"]["content"] == "You said: a"
    assert choice["finish_reason"] == "length"


async def test_a_required_tool_is_called_with_empty_arguments(sdk: openai.AsyncOpenAI) -> None:
    completion = await sdk.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "hi"}],
        tools=_TOOLS,
        tool_choice="required",
    )

    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    call = choice.message.tool_calls[0]
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("get_weather", "{}")


async def test_a_stream_brings_the_reply_word_by_word_and_then_the_usage(
    sdk: openai.AsyncOpenAI,
) -> None:
    stream = await sdk.chat.completions.create(
        model="gpt-4o-mini-slow",
        messages=[{"role": "user", "content": "good morning"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]

    words = [chunk.choices[0].delta.content for chunk in chunks[:-1]]
    assert words == ["", "You", " said:", " good", " morning", None]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 6


async def test_the_sdk_assembles_a_streamed_tool_call(sdk: openai.AsyncOpenAI) -> None:
    async with sdk.chat.completions.stream(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "hi"}],
        tools=_TOOLS,
        tool_choice="required",
    ) as stream:
        completion = await stream.get_final_completion()

    tool_calls = completion.choices[0].message.tool_calls
    assert tool_calls is not None
    assert tool_calls[0].function.name == "get_weather"
    assert tool_calls[0].function.arguments == "{}"


async def test_a_stream_is_server_sent_events_that_end_with_done(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": True}

    async with http.post("chat/completions", json=body, headers=working_key) as response:
        events = (await response.text()).split("\n\n")

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert events[-2:] == ["data: [DONE]", ""]
    first = json.loads(events[0].removeprefix("data: "))
    assert first["object"] == "chat.completion.chunk"
    assert "usage" not in first


async def test_a_stream_of_a_cutting_model_breaks_off(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="gpt-4o-cut", messages=[{"role": "user", "content": "a b c d"}], stream=True
    )

    first = await anext(aiter(stream))
    with pytest.raises(openai.APIConnectionError):
        _ = [chunk async for chunk in stream]

    assert first.choices[0].delta.role == "assistant"


async def test_a_cut_answer_is_shorter_than_its_length_says(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    body = {"model": "gpt-4o-cut", "messages": [{"role": "user", "content": "hi"}]}

    async with http.post("chat/completions", json=body, headers=working_key) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_hanging_model_has_the_request_and_does_not_answer(
    http: aiohttp.ClientSession,
    working_key: dict[str, str],
    read_record: Callable[[], list[dict[str, Any]]],
) -> None:
    body = {"model": "gpt-4o-hang", "messages": [{"role": "user", "content": "hi"}]}

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await http.post("chat/completions", json=body, headers=working_key)

    assert [line["path"] for line in read_record()] == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"model": None}, 400, "model", "missing_required_parameter"),
        ({"model": 4}, 400, "model", "invalid_type"),
        ({"model": "unknown-1"}, 404, None, "model_not_found"),
        ({"messages": None}, 400, "messages", "missing_required_parameter"),
        ({"messages": []}, 400, "messages", "empty_array"),
        ({"messages": "hi"}, 400, "messages", "invalid_type"),
        ({"messages": ["hi"]}, 400, "messages[0]", "invalid_type"),
        ({"messages": [{}]}, 400, "messages[0].role", "missing_required_parameter"),
        (
            {"messages": [{"role": "user", "content": 1}]},
            400,
            "messages[0].content",
            "invalid_type",
        ),
        ({"stream": "yes"}, 400, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options", None),
        ({"n": 0}, 400, "n", "integer_below_min_value"),
        ({"n": 129}, 400, "n", "integer_above_max_value"),
        ({"max_tokens": "9"}, 400, "max_tokens", "invalid_type"),
        ({"tool_choice": "required"}, 400, "tool_choice", None),
    ],
    ids=str,
)
async def test_a_wrong_request_names_its_parameter(
    http: aiohttp.ClientSession,
    working_key: dict[str, str],
    change: dict[str, object],
    status: int,
    param: str | None,
    code: str | None,
) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], **change}

    async with http.post("chat/completions", json=body, headers=working_key) as response:
        error = (await response.json())["error"]

    assert (response.status, error["param"], error["code"]) == (status, param, code)
    assert error["type"] == "invalid_request_error"


async def test_a_padded_stream_hides_the_length_of_its_words(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_obfuscation": True, "include_usage": True},
    )
    chunks = [chunk.to_dict() async for chunk in stream]

    assert all("obfuscation" in chunk for chunk in chunks)
    assert [len(str(chunk["obfuscation"])) for chunk in chunks[1:4]] == [13, 10, 13]
