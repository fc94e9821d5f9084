from __future__ import annotations

from collections.abc import Callable

import aiohttp
import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]


# The SDK marks the Assistants API as deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_an_assistant_is_made_found_changed_and_deleted(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    assistant = await sdk.beta.assistants.create(model="gpt-4o", name="Ann")

    check_shape(assistant)
    assert await sdk.beta.assistants.retrieve(assistant.id) == assistant
    assert [listed.id async for listed in sdk.beta.assistants.list()] == [assistant.id]
    changed = await sdk.beta.assistants.update(assistant.id, instructions="Be brief.")
    assert (changed.name, changed.instructions, changed.model) == ("Ann", "Be brief.", "gpt-4o")
    assert (await sdk.beta.assistants.delete(assistant.id)).deleted


@pytest.mark.parametrize("value", [None, "assistants=v1", "assistants"])
@pytest.mark.parametrize("path", ["assistants", "threads/thread_1", "threads/thread_1/runs"])
async def test_without_its_beta_header_the_api_is_not_served(
    http: aiohttp.ClientSession, working_key: dict[str, str], value: str | None, path: str
) -> None:
    headers = {**working_key, **({"OpenAI-Beta": value} if value else {})}

    async with http.get(path, headers=headers) as response:
        error = (await response.json())["error"]

    assert (response.status, error["code"]) == (400, "invalid_beta")
