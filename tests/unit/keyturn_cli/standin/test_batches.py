from __future__ import annotations

from collections.abc import Callable

import openai

_CheckShape = Callable[[openai.BaseModel], None]


async def test_a_batch_is_completed_when_it_is_looked_at(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    file = await sdk.files.create(file=b"{}\n{}\n{}\n", purpose="batch")
    created = await sdk.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"team": "payments"},
    )
    completed = await sdk.batches.retrieve(created.id)

    check_shape(created)
    check_shape(completed)
    assert (created.status, created.usage, created.metadata) == (
        "validating",
        None,
        {"team": "payments"},
    )
    assert completed.status == "completed"
    assert completed.usage is not None
    assert (completed.usage.input_tokens, completed.usage.output_tokens) == (30, 15)
    assert await sdk.batches.retrieve(created.id) == completed
    assert completed.output_file_id is not None
    output = await sdk.files.content(completed.output_file_id)
    assert len(output.text.splitlines()) == 3


async def test_batches_are_listed_and_cancelled(sdk: openai.AsyncOpenAI) -> None:
    batch = await sdk.batches.create(
        input_file_id="file-1", endpoint="/v1/embeddings", completion_window="24h"
    )

    cancelled = await sdk.batches.cancel(batch.id)

    assert cancelled.status == "cancelling"
    assert await sdk.batches.retrieve(batch.id) == cancelled
    assert [listed.id async for listed in sdk.batches.list()] == [batch.id]
