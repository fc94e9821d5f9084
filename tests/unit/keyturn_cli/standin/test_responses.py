from __future__ import annotations

import openai
import pytest


async def test_a_response_repeats_its_input(sdk: openai.AsyncOpenAI) -> None:
    response = await sdk.responses.create(model="gpt-4o", input="good morning")

    assert response.output_text == "You said: good morning"
    assert response.status == "completed"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (2, 4)


async def test_the_input_may_be_a_list_of_items(sdk: openai.AsyncOpenAI) -> None:
    response = await sdk.responses.create(
        model="gpt-4o",
        input=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "hello"}]},
        ],
    )

    assert response.output_text == "You said: hello"


async def test_a_stream_has_the_events_of_openai_in_order(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model="gpt-4o", input="hi", stream=True)
    events = [event async for event in stream]

    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 3,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


async def test_the_sdk_assembles_a_stream(sdk: openai.AsyncOpenAI) -> None:
    async with sdk.responses.stream(model="gpt-4o", input="hi there") as stream:
        response = await stream.get_final_response()

    assert response.output_text == "You said: hi there"


async def test_a_response_in_json_is_the_input_alone(sdk: openai.AsyncOpenAI) -> None:
    response = await sdk.responses.create(
        model="gpt-4o", input='{"a": 1}', text={"format": {"type": "json_object"}}
    )

    assert response.output_text == '{"a": 1}'


async def test_a_token_limit_leaves_the_response_incomplete(sdk: openai.AsyncOpenAI) -> None:
    response = await sdk.responses.create(model="gpt-4o", input="a b c", max_output_tokens=2)

    assert response.output_text == "You said:"
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_a_response_needs_input(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.responses.create(model="gpt-4o")

    assert caught.value.param == "input"


async def test_a_response_is_kept_until_it_is_deleted(sdk: openai.AsyncOpenAI) -> None:
    response = await sdk.responses.create(model="gpt-4o", input="good morning")

    assert await sdk.responses.retrieve(response.id) == response
    [item] = [item async for item in sdk.responses.input_items.list(response.id)]
    assert item.to_dict()["content"] == [{"type": "input_text", "text": "good morning"}]
    assert (await sdk.responses.cancel(response.id)).id == response.id
    await sdk.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(response.id)


async def test_a_response_is_not_kept_if_the_request_says_so(sdk: openai.AsyncOpenAI) -> None:
    response = await sdk.responses.create(model="gpt-4o", input="hi", store=False)

    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(response.id)


async def test_a_padded_stream_hides_the_length_of_its_words(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.responses.create(
        model="gpt-4o", input="hi", stream=True, stream_options={"include_obfuscation": True}
    )
    deltas = [event async for event in stream if event.type == "response.output_text.delta"]

    assert {len(f"{event.delta}{event.to_dict()['obfuscation']}") for event in deltas} == {16}
