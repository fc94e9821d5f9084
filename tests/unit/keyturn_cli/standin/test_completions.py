from __future__ import annotations

from collections.abc import Callable

import aiohttp
import openai

_CheckShape = Callable[[openai.BaseModel], None]


async def test_a_prompt_is_answered(sdk: openai.AsyncOpenAI, check_shape: _CheckShape) -> None:
    completion = await sdk.completions.create(
        model="gpt-3.5-turbo-instruct", prompt="a b", max_tokens=3
    )

    check_shape(completion)
    assert completion.choices[0].text == "You said: a"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (2, 3)


async def test_a_stream_ends_with_the_usage_if_it_is_asked_for(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.completions.create(
        model="m", prompt="hi", stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == "You said: hi"
    assert [chunk.usage is None for chunk in chunks] == [True] * 4 + [False]


async def test_the_path_can_name_the_model(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    body = {"prompt": "hi"}
    async with http.post("engines/davinci/completions", json=body, headers=working_key) as response:
        assert (await response.json())["model"] == "davinci"
