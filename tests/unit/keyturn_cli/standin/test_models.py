from __future__ import annotations

import openai
import pytest


async def test_the_models_are_listed(sdk: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in sdk.models.list()]

    assert "gpt-4o-mini" in names


async def test_a_model_is_found_by_name(sdk: openai.AsyncOpenAI) -> None:
    model = await sdk.models.retrieve("gpt-4o")

    assert (model.id, model.object, model.owned_by) == ("gpt-4o", "model", "system")


async def test_an_unknown_model_is_not_found(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await sdk.models.retrieve("unknown-1")

    assert caught.value.code == "model_not_found"


async def test_a_model_can_be_deleted(sdk: openai.AsyncOpenAI) -> None:
    deleted = await sdk.models.delete("ft:gpt-4o:acme")

    assert (deleted.id, deleted.deleted) == ("ft:gpt-4o:acme", True)
