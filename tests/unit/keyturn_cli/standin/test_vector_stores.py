from __future__ import annotations

from collections.abc import Callable

import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]


async def test_a_vector_store_is_made_found_changed_and_deleted(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    store = await sdk.vector_stores.create(name="docs", metadata={"a": "b"})

    check_shape(store)
    assert await sdk.vector_stores.retrieve(store.id) == store
    assert [listed.id async for listed in sdk.vector_stores.list()] == [store.id]
    assert (await sdk.vector_stores.update(store.id, name="more")).name == "more"
    assert (await sdk.vector_stores.delete(store.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await sdk.vector_stores.retrieve(store.id)


async def test_a_search_finds_the_files_of_a_vector_store(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    first = await sdk.files.create(file=("a.txt", b"apples"), purpose="assistants")
    second = await sdk.files.create(file=("b.txt", b"pears"), purpose="assistants")
    store = await sdk.vector_stores.create(file_ids=[first.id])
    member = await sdk.vector_stores.files.create(
        store.id, file_id=second.id, attributes={"kind": "fruit"}
    )
    found = await sdk.vector_stores.search(store.id, query="fruit")

    check_shape(member)
    for result in found.data:
        check_shape(result)
    assert [(result.filename, result.content[0].text) for result in found.data] == [
        ("b.txt", "pears"),
        ("a.txt", "apples"),
    ]
    assert found.data[0].attributes == {"kind": "fruit"}
    assert (await sdk.vector_stores.retrieve(store.id)).file_counts.completed == 2


async def test_a_file_is_taken_out_of_a_vector_store(sdk: openai.AsyncOpenAI) -> None:
    file = await sdk.files.create(file=b"apples", purpose="assistants")
    store = await sdk.vector_stores.create()
    member = await sdk.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)

    deleted = await sdk.vector_stores.files.delete(file.id, vector_store_id=store.id)

    assert (member.status, deleted.deleted) == ("completed", True)
    assert (await sdk.files.content(file.id)).content
    assert [listed.id async for listed in sdk.vector_stores.files.list(store.id)] == []
    assert (await sdk.files.retrieve(file.id)).id == file.id
