from __future__ import annotations

import base64
from collections.abc import Callable

import aiohttp
import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]


async def test_generated_images_come_with_their_usage(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    answer = await sdk.images.generate(model="gpt-image-1", prompt="a black dot", n=2)

    check_shape(answer)
    assert answer.data is not None
    assert answer.usage is not None
    pictures = [base64.b64decode(image.b64_json or "") for image in answer.data]
    assert [picture[:4] for picture in pictures] == [b"\x89PNG"] * 2
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (3, 544)


async def test_an_image_can_be_a_link(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.images.generate(model="dall-e-3", prompt="x", response_format="url")

    assert answer.data is not None
    assert answer.data[0].url == "https://images.invalid/1.png"


async def test_images_are_edited_by_a_form(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    answer = await sdk.images.edit(
        model="gpt-image-1", image=[b"one", b"two"], prompt="make it darker", n=1
    )

    check_shape(answer)
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == 388
    assert answer.usage.total_tokens == 388 + 3 + 272


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the SDK
async def test_a_variation_needs_an_image_only(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.images.create_variation(image=b"one", n=3)

    assert answer.data is not None
    assert len(answer.data) == 3


async def test_a_stream_of_images_ends_with_the_usage(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    generated = await sdk.images.generate(
        model="gpt-image-1", prompt="x", stream=True, partial_images=1
    )
    edited = await sdk.images.edit(model="gpt-image-1", image=b"1", prompt="x", stream=True)
    events = [event async for event in generated] + [event async for event in edited]

    for event in events:
        check_shape(event)
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.completed",
        "image_edit.partial_image",
        "image_edit.completed",
    ]


async def test_an_edit_needs_a_prompt(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    form = aiohttp.FormData()
    form.add_field("image", b"1", filename="1.png")

    async with http.post("images/edits", data=form, headers=working_key) as response:
        error = (await response.json())["error"]

    assert (response.status, error["param"]) == (400, "prompt")
