from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import Any

import aiohttp
import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]


async def test_an_uploaded_file_is_found_listed_and_deleted(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    file = await sdk.files.create(file=("notes.txt", b"some notes"), purpose="user_data")

    check_shape(file)
    assert (file.filename, file.bytes, file.purpose) == ("notes.txt", 10, "user_data")
    assert await sdk.files.retrieve(file.id) == file
    assert [listed.id async for listed in sdk.files.list(purpose="user_data")] == [file.id]
    assert [listed.id async for listed in sdk.files.list(purpose="batch")] == []
    assert (await sdk.files.delete(file.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await sdk.files.retrieve(file.id)


async def test_the_content_of_a_file_comes_back_as_it_went(sdk: openai.AsyncOpenAI) -> None:
    raw = bytes(range(256)) * 2 + b"\r\n--boundary\r\n\r\n--"
    file = await sdk.files.create(file=raw, purpose="user_data")

    assert (await sdk.files.content(file.id)).content == raw


async def test_a_large_file_is_kept_by_its_digest_and_its_start(
    http: aiohttp.ClientSession, sdk: openai.AsyncOpenAI, working_key: dict[str, str]
) -> None:
    raw = hashlib.shake_256(b"noise").digest(3 * 1024 * 1024 + 5)
    form = aiohttp.FormData({"purpose": "user_data"})
    form.add_field("file", io.BytesIO(raw), filename="noise")

    async with http.post("files", data=form, headers=working_key) as response:
        file: dict[str, Any] = await response.json()
    content = (await sdk.files.content(file["id"])).content

    assert (file["bytes"], file["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
    first = raw[: 1024 * 1024]
    assert content == first * 3 + first[:5]


async def test_files_are_listed_page_by_page(sdk: openai.AsyncOpenAI) -> None:
    made = [(await sdk.files.create(file=b"1", purpose="batch")).id for _ in range(5)]

    first = await sdk.files.list(limit=2)
    rest = [file.id async for file in sdk.files.list(limit=2)]
    ascending = await sdk.files.list(order="asc", limit=3, after=made[0])

    assert [file.id for file in first.data] == made[:-3:-1]
    assert first.has_more
    assert rest == made[::-1]
    assert [file.id for file in ascending.data] == made[1:4]


@pytest.mark.parametrize("missing", ["file", "purpose"])
async def test_an_upload_names_what_is_missing(
    http: aiohttp.ClientSession, working_key: dict[str, str], missing: str
) -> None:
    form = aiohttp.FormData()
    for name in {"file", "purpose"} - {missing}:
        form.add_field(name, b"batch", filename="name")

    async with http.post("files", data=form, headers=working_key) as response:
        error = (await response.json())["error"]

    assert (response.status, error["param"]) == (400, missing)


async def test_a_limit_must_be_a_number(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.files.list(limit=0)

    assert caught.value.param == "limit"


async def test_a_form_that_breaks_off_is_refused(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    raw = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhalf'
    headers = {**working_key, "Content-Type": "multipart/form-data; boundary=b"}
    async with http.post("files", data=raw, headers=headers) as response:
        error = (await response.json())["error"]

    assert (response.status, error["message"]) == (400, "Could not parse multipart form.")
