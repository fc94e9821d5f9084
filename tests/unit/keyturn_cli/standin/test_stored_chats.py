from __future__ import annotations

from collections.abc import Callable

import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]


async def test_a_stored_completion_is_found_changed_and_deleted(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    chats = sdk.chat.completions
    made = await chats.create(
        model="gpt-4o",
        messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        store=True,
        metadata={"a": "b"},
    )
    await chats.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], store=True, metadata={}
    )

    found = await chats.retrieve(made.id)
    check_shape(found)
    assert found.choices == made.choices
    assert [chat.id async for chat in chats.list(metadata={"a": "b"})] == [made.id]
    assert [chat.id async for chat in chats.list(model="gpt-4o-mini")] == []
    messages = [message async for message in chats.messages.list(made.id, limit=1, order="asc")]
    assert [message.content for message in messages] == ["Be brief.", "hi"]
    await chats.update(made.id, metadata={"c": "d"})
    assert [chat.id async for chat in chats.list(metadata={"c": "d"})] == [made.id]
    assert (await chats.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await chats.retrieve(made.id)


async def test_a_completion_is_stored_only_when_asked_for(sdk: openai.AsyncOpenAI) -> None:
    made = await sdk.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}]
    )

    with pytest.raises(openai.NotFoundError):
        await sdk.chat.completions.retrieve(made.id)
