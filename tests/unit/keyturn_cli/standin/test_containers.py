from __future__ import annotations

from collections.abc import Callable

import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]


async def test_a_container_is_made_found_and_deleted(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    container = await sdk.containers.create(name="box", memory_limit="4g")
    await sdk.containers.create(name="other")

    check_shape(container)
    assert container.memory_limit == "4g"
    assert (await sdk.containers.retrieve(container.id)).name == "box"
    assert [listed.id async for listed in sdk.containers.list(name="box")] == [container.id]
    await sdk.containers.delete(container.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.containers.retrieve(container.id)


async def test_files_are_sent_to_a_container_or_copied_into_it(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    container = await sdk.containers.create(name="box")
    kept = await sdk.files.create(file=("kept.txt", b"kept"), purpose="user_data")
    files = sdk.containers.files
    sent = await files.create(container.id, file=("sent.bin", b"\x00\xff"))
    copied = await files.create(container.id, file_id=kept.id)

    check_shape(sent)
    assert (sent.path, sent.bytes) == ("/mnt/data/sent.bin", 2)
    assert [file.id async for file in files.list(container.id)] == [copied.id, sent.id]
    contents = [
        (await files.content.retrieve(file.id, container_id=container.id)).content
        for file in (sent, copied)
    ]
    assert contents == [b"\x00\xff", b"kept"]
    await files.delete(copied.id, container_id=container.id)
    with pytest.raises(openai.NotFoundError):
        await files.retrieve(copied.id, container_id=container.id)
