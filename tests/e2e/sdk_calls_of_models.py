"""Calls of the openai SDK that ask a model in words: chat, responses, completions and the like."""

from __future__ import annotations

from typing import Any, Final

import openai
import pydantic

from tests.e2e.sdk_call import Sdk, SdkCalls, Things, all_of, given, within

MODEL: Final = "gpt-4o-mini"
MESSAGES: Final[list[dict[str, Any]]] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "one two"},
]
ANSWER: Final = "You said: one two"
TOOLS: Final[list[dict[str, Any]]] = [
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
]
MODEL_CALLS: Final = SdkCalls()


class City(pydantic.BaseModel):
    """What a model shall answer as."""

    name: str = "nowhere"


@MODEL_CALLS.giving(("assistant", ANSWER, "stop", 8, True))
async def chat(sdk: Sdk, _things: Things) -> object:
    completion = await given(sdk.chat.completions.create(model=MODEL, messages=MESSAGES, seed=7))
    choice, total = completion.choices[0], completion.usage.total_tokens
    is_named = completion._request_id.startswith("req_")
    return choice.message.role, choice.message.content, choice.finish_reason, total, is_named


@MODEL_CALLS.giving([0, 1])
async def chat_with_two_choices(sdk: Sdk, _things: Things) -> object:
    completion = await given(
        sdk.chat.completions.create(
            model=MODEL, messages=MESSAGES, n=2, metadata={"till": "7"}, logit_bias={"50256": -100}
        )
    )
    return [choice.index for choice in completion.choices]


@MODEL_CALLS.giving((ANSWER, 0))
async def chat_stream(sdk: Sdk, _things: Things) -> object:
    stream = await given(
        sdk.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, temperature=0.0)
    )
    chunks = await all_of(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    return text, sum(chunk.usage is not None for chunk in chunks)


@MODEL_CALLS.giving((ANSWER, 8))
async def chat_stream_with_usage(sdk: Sdk, _things: Things) -> object:
    stream = await given(
        sdk.chat.completions.create(
            model=MODEL,
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True, "include_obfuscation": False},
        )
    )
    chunks = await all_of(stream)
    deltas = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    return "".join(deltas), chunks[-1].usage.total_tokens


@MODEL_CALLS.giving((ANSWER, "content.done"))
async def chat_stream_helper(sdk: Sdk, _things: Things) -> object:
    async with within(sdk.chat.completions.stream(model=MODEL, messages=MESSAGES)) as stream:
        events = await all_of(stream)
        final = await given(stream.get_final_completion())
    return final.choices[0].message.content, events[-1].type


@MODEL_CALLS.giving(("tool_calls", "weather", "{}"))
async def chat_with_tools(sdk: Sdk, _things: Things) -> object:
    completion = await given(
        sdk.chat.completions.create(
            model=MODEL, messages=MESSAGES, tools=TOOLS, tool_choice="required"
        )
    )
    choice = completion.choices[0]
    function = choice.message.tool_calls[0].function
    return choice.finish_reason, function.name, function.arguments


@MODEL_CALLS.giving(("tool_calls", "weather", "{}"))
async def chat_stream_with_tools(sdk: Sdk, _things: Things) -> object:
    stream = await given(
        sdk.chat.completions.create(
            model=MODEL, messages=MESSAGES, tools=TOOLS, tool_choice="required", stream=True
        )
    )
    choices = [choice for chunk in await all_of(stream) for choice in chunk.choices]
    functions = [call.function for choice in choices for call in choice.delta.tool_calls or []]
    arguments = "".join(function.arguments for function in functions)
    return choices[-1].finish_reason, functions[0].name, arguments


@MODEL_CALLS.giving(City(name="Bonn"))
async def chat_parse(sdk: Sdk, _things: Things) -> object:
    messages = [{"role": "user", "content": '{"name": "Bonn"}'}]
    completion = await given(
        sdk.chat.completions.parse(model=MODEL, messages=messages, response_format=City)
    )
    return completion.choices[0].message.parsed


@MODEL_CALLS.giving(City(name="nowhere"))
async def chat_parse_tool(sdk: Sdk, _things: Things) -> object:
    completion = await given(
        sdk.chat.completions.parse(
            model=MODEL,
            messages=MESSAGES,
            tools=[openai.pydantic_function_tool(City)],
            tool_choice="required",
        )
    )
    return completion.choices[0].message.tool_calls[0].function.parsed_arguments


@MODEL_CALLS.giving(("completed", ANSWER, 6))
async def responses_create(sdk: Sdk, _things: Things) -> object:
    response = await given(
        sdk.responses.create(
            model=MODEL, input="one two", store=False, include=["reasoning.encrypted_content"]
        )
    )
    return response.status, response.output_text, response.usage.total_tokens


@MODEL_CALLS.giving((ANSWER, "response.completed", 6))
async def responses_create_stream(sdk: Sdk, _things: Things) -> object:
    stream = await given(
        sdk.responses.create(model=MODEL, input="one two", stream=True, store=False)
    )
    events = await all_of(stream)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    return "".join(deltas), events[-1].type, events[-1].response.usage.total_tokens


@MODEL_CALLS.giving(ANSWER)
async def responses_stream_helper(sdk: Sdk, _things: Things) -> object:
    async with within(sdk.responses.stream(model=MODEL, input="one two", store=False)) as stream:
        await all_of(stream)
        final = await given(stream.get_final_response())
    return final.output_text


@MODEL_CALLS.giving(City(name="Bonn"))
async def responses_parse(sdk: Sdk, _things: Things) -> object:
    response = await given(
        sdk.responses.parse(model=MODEL, input='{"name": "Bonn"}', text_format=City, store=False)
    )
    return response.output_parsed


@MODEL_CALLS.giving((True, "You said: kept"))
async def responses_retrieve(sdk: Sdk, things: Things) -> object:
    response = await given(
        sdk.responses.retrieve(
            things["response"],
            include=["message.output_text.logprobs", "code_interpreter_call.outputs"],
            starting_after=0,
        )
    )
    return response.id == things["response"], response.output_text


@MODEL_CALLS.giving(["kept"])
async def responses_input_items(sdk: Sdk, things: Things) -> object:
    items = await all_of(sdk.responses.input_items.list(things["response"], limit=5, order="asc"))
    return [item.content[0].text for item in items]


@MODEL_CALLS.giving("completed")
async def responses_cancel(sdk: Sdk, things: Things) -> object:
    return (await given(sdk.responses.cancel(things["response"]))).status


@MODEL_CALLS.giving((None, "not_found"))
async def responses_delete(sdk: Sdk, _things: Things) -> object:
    made = await given(sdk.responses.create(model=MODEL, input="to go"))
    deleted = await given(sdk.responses.delete(made.id))
    try:
        await given(sdk.responses.retrieve(made.id))
    except openai.NotFoundError as error:
        return deleted, error.code
    return deleted, ""


@MODEL_CALLS.giving((ANSWER, "stop", 6))
async def completions_create(sdk: Sdk, _things: Things) -> object:
    completion = await given(
        sdk.completions.create(model="gpt-3.5-turbo-instruct", prompt="one two", max_tokens=9)
    )
    choice = completion.choices[0]
    return choice.text, choice.finish_reason, completion.usage.total_tokens


@MODEL_CALLS.giving(ANSWER)
async def completions_stream(sdk: Sdk, _things: Things) -> object:
    stream = await given(
        sdk.completions.create(model="gpt-3.5-turbo-instruct", prompt="one two", stream=True)
    )
    return "".join(choice.text for chunk in await all_of(stream) for choice in chunk.choices)


@MODEL_CALLS.giving(([4, 4], float, 3))
async def embeddings_as_floats(sdk: Sdk, _things: Things) -> object:
    answer = await given(
        sdk.embeddings.create(
            model="text-embedding-3-small",
            input=["a b", "\u00e4"],
            dimensions=4,
            encoding_format="float",
        )
    )
    vectors = [item.embedding for item in answer.data]
    return [len(vector) for vector in vectors], type(vectors[0][0]), answer.usage.total_tokens


@MODEL_CALLS.giving((8, float))
async def embeddings_as_the_sdk_asks_by_itself(sdk: Sdk, _things: Things) -> object:
    answer = await given(sdk.embeddings.create(model="text-embedding-3-small", input="a b"))
    return len(answer.data[0].embedding), type(answer.data[0].embedding[0])


@MODEL_CALLS.giving((str, 1))
async def embeddings_in_base64(sdk: Sdk, _things: Things) -> object:
    answer = await given(
        sdk.embeddings.create(
            model="text-embedding-3-small", input=[1, 2, 3], encoding_format="base64"
        )
    )
    return type(answer.data[0].embedding), len(answer.data)


@MODEL_CALLS.giving([(False, False), (False, False)])
async def moderations(sdk: Sdk, _things: Things) -> object:
    answer = await given(
        sdk.moderations.create(model="omni-moderation-latest", input=["fine", "also f\u00ecne"])
    )
    return [(result.flagged, result.categories.violence) for result in answer.results]


@MODEL_CALLS.giving(["gpt-4o", "gpt-4o-mini"])
async def models_list(sdk: Sdk, _things: Things) -> object:
    return [model.id for model in await all_of(sdk.models.list())][:2]


@MODEL_CALLS.giving("ft:gpt-4o-mini:acme::a1+b")
async def models_retrieve(sdk: Sdk, _things: Things) -> object:
    return (await given(sdk.models.retrieve("ft:gpt-4o-mini:acme::a1+b"))).id


@MODEL_CALLS.giving(("ft:gpt-4o-mini:acme::a1", True))
async def models_delete(sdk: Sdk, _things: Things) -> object:
    gone = await given(sdk.models.delete("ft:gpt-4o-mini:acme::a1"))
    return gone.id, gone.deleted
