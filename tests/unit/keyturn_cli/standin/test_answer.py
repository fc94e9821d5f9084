from __future__ import annotations

import gzip
import json
import zlib

import aiohttp
import openai
import pytest

_GZIP = {"Accept-Encoding": "deflate, gzip"}


@pytest.fixture
async def raw_http(base_url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(base_url=f"{base_url}/", auto_decompress=False)


async def test_a_compressed_answer_is_gzip(
    raw_http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    body = {"model": "gpt-4o-gzip", "input": "hi"}
    async with (
        raw_http,
        raw_http.post("responses", json=body, headers={**working_key, **_GZIP}) as response,
    ):
        raw = await response.read()

    assert response.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(raw))["model"] == "gpt-4o-gzip"


async def test_each_event_of_a_compressed_stream_can_be_read_at_once(
    raw_http: aiohttp.ClientSession, working_key: dict[str, str], control: aiohttp.ClientSession
) -> None:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": "m-paced-gzip", "messages": messages, "stream": True}
    decompressor = zlib.decompressobj(wbits=31)
    text = b""
    async with (
        raw_http,
        raw_http.post("chat/completions", json=body, headers={**working_key, **_GZIP}) as response,
    ):
        for _ in range(6):
            async with control.post("release"):
                pass
            text = b""
            while not text.endswith(b"\n\n"):
                text += decompressor.decompress(await response.content.readany())
            assert text.count(b"data: ") == 1
        decompressor.decompress(await response.read())

    assert text == b"data: [DONE]\n\n"
    assert decompressor.eof


async def test_an_answer_is_compressed_only_for_who_takes_it(
    raw_http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    body = {"model": "m-gzip", "input": "hi"}
    headers = {**working_key, "Accept-Encoding": "identity"}
    async with raw_http, raw_http.post("embeddings", json=body, headers=headers) as response:
        assert (await response.json())["object"] == "list"
        assert "content-encoding" not in response.headers


async def test_many_chunks_are_numbered(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="gpt-4o-many", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    texts = [chunk.choices[0].delta.content async for chunk in stream]

    assert texts == ["", *(f"{number} " for number in range(50)), None]


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
async def test_a_stream_can_break_off_with_an_error_that_shows_part_of_the_key(
    http: aiohttp.ClientSession, working_key: dict[str, str], path: str
) -> None:
    body = {
        "model": "gpt-4o-echo",
        "input": "hi",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    async with http.post(path, json=body, headers=working_key) as response:
        events = (await response.text()).split("\n\n")

    assert response.status == 200
    assert len(events) == 5
    assert "sk-stand***" in events[3]
    assert working_key["Authorization"].removeprefix("Bearer ") not in events[3]


async def test_the_sdk_raises_the_error_of_a_stream(sdk: openai.AsyncOpenAI) -> None:
    chat = await sdk.chat.completions.create(
        model="m-echo", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    with pytest.raises(openai.APIError, match="Incorrect API key provided"):
        _ = [chunk async for chunk in chat]
