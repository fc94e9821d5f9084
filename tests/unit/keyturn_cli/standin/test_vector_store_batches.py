from __future__ import annotations

from collections.abc import Callable

import openai

_CheckShape = Callable[[openai.BaseModel], None]


async def test_files_are_put_into_a_vector_store_at_once(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    files = [await sdk.files.create(file=b"apples", purpose="assistants") for _ in range(3)]
    store = await sdk.vector_stores.create(file_ids=[files[0].id])

    batch = await sdk.vector_stores.file_batches.create_and_poll(
        store.id, file_ids=[file.id for file in files[1:]]
    )
    listed = await sdk.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id)

    check_shape(batch)
    assert (batch.status, batch.file_counts.completed) == ("completed", 2)
    assert [file.id for file in listed.data] == [files[2].id, files[1].id]
    assert (await sdk.vector_stores.retrieve(store.id)).file_counts.total == 3
