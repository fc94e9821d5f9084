from __future__ import annotations

from collections.abc import Callable

import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]


async def test_the_parts_of_an_upload_become_one_file(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    upload = await sdk.uploads.create(
        bytes=10, filename="f.txt", mime_type="text/plain", purpose="user_data"
    )
    second = await sdk.uploads.parts.create(upload.id, data=b"world")
    first = await sdk.uploads.parts.create(upload.id, data=b"hello")
    completed = await sdk.uploads.complete(upload.id, part_ids=[first.id, second.id])

    for answer in (upload, first, completed):
        check_shape(answer)
    assert (upload.status, completed.status) == ("pending", "completed")
    assert completed.file is not None
    assert (await sdk.files.content(completed.file.id)).content == b"helloworld"


async def test_an_upload_of_another_length_than_announced_is_refused(
    sdk: openai.AsyncOpenAI,
) -> None:
    upload = await sdk.uploads.create(
        bytes=11, filename="f.txt", mime_type="text/plain", purpose="user_data"
    )
    part = await sdk.uploads.parts.create(upload.id, data=b"hello")

    with pytest.raises(openai.BadRequestError):
        await sdk.uploads.complete(upload.id, part_ids=[part.id])


async def test_an_upload_can_be_cancelled(sdk: openai.AsyncOpenAI) -> None:
    upload = await sdk.uploads.create(
        bytes=1, filename="f.txt", mime_type="text/plain", purpose="user_data"
    )

    assert (await sdk.uploads.cancel(upload.id)).status == "cancelled"
