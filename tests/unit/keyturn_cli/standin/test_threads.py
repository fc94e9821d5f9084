from __future__ import annotations

from collections.abc import Callable

import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]

# The SDK marks the Assistants API as deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


async def test_a_thread_is_made_found_changed_and_deleted(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    thread = await sdk.beta.threads.create()

    check_shape(thread)
    assert await sdk.beta.threads.retrieve(thread.id) == thread
    changed = await sdk.beta.threads.update(thread.id, metadata={"a": "b"})
    assert changed.metadata == {"a": "b"}
    assert (await sdk.beta.threads.delete(thread.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await sdk.beta.threads.retrieve(thread.id)


async def test_messages_of_a_thread_are_listed_and_deleted(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    thread = await sdk.beta.threads.create(messages=[{"role": "user", "content": "first"}])
    second = await sdk.beta.threads.messages.create(thread.id, role="user", content="second")

    messages = [message async for message in sdk.beta.threads.messages.list(thread.id, order="asc")]

    check_shape(second)
    texts = [block.text.value for m in messages for block in m.content if block.type == "text"]
    assert texts == ["first", "second"]
    found = await sdk.beta.threads.messages.retrieve(second.id, thread_id=thread.id)
    assert found.id == second.id
    deleted = await sdk.beta.threads.messages.delete(second.id, thread_id=thread.id)
    assert deleted.deleted
