from __future__ import annotations

from collections.abc import Callable

import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]


async def test_a_conversation_is_made_found_changed_and_deleted(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    conversation = await sdk.conversations.create(metadata={"a": "b"})

    check_shape(conversation)
    assert await sdk.conversations.retrieve(conversation.id) == conversation
    changed = await sdk.conversations.update(conversation.id, metadata={"c": "d"})
    assert changed.metadata == {"c": "d"}
    assert (await sdk.conversations.delete(conversation.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await sdk.conversations.retrieve(conversation.id)


async def test_the_items_of_a_conversation_are_kept_until_they_are_taken_out(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    conversation = await sdk.conversations.create(items=[{"role": "user", "content": "first"}])
    items = sdk.conversations.items
    made = await items.create(conversation.id, items=[{"role": "user", "content": "second"}])

    check_shape(made)
    listed = [item.to_dict() async for item in items.list(conversation.id, limit=1, order="asc")]
    texts = [part["text"] for item in listed for part in _parts(item)]
    assert texts == ["first", "second"]
    assert (await items.delete(made.last_id, conversation_id=conversation.id)) == conversation
    assert len([item async for item in items.list(conversation.id)]) == 1


def _parts(item: dict[str, object]) -> list[dict[str, object]]:
    parts = item["content"]
    assert isinstance(parts, list)
    return parts
