from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import openai
import pytest


async def _progress(control: aiohttp.ClientSession) -> dict[str, int]:
    async with control.get("progress") as response:
        counts: dict[str, int] = await response.json()
    return counts


async def _progress_with(control: aiohttp.ClientSession, name: str, count: int) -> dict[str, int]:
    """Wait until the count *name* has reached *count*."""
    while (counts := await _progress(control))[name] < count:
        pass
    return counts


async def test_each_event_of_a_paced_stream_waits_to_be_released(
    sdk: openai.AsyncOpenAI, control: aiohttp.ClientSession
) -> None:
    stream = await sdk.chat.completions.create(
        model="gpt-4o-paced", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    chunks = aiter(stream)
    seen = []
    for _ in range(3):
        async with control.post("release?n=1") as response:
            assert response.status == 200
        chunk = await anext(chunks)
        seen.append((chunk.choices[0].delta.content, (await _progress(control))["events"]))
    async with control.post("release?n=9"):
        pass
    rest = [chunk async for chunk in chunks]

    assert seen == [("", 1), ("You", 2), (" said:", 3)]
    assert [chunk.choices[0].delta.content for chunk in rest] == [" hi", None]


async def test_a_client_that_leaves_is_counted(
    http: aiohttp.ClientSession, working_key: dict[str, str], control: aiohttp.ClientSession
) -> None:
    body = {"model": "m-paced", "input": "hi", "stream": True}
    response = await http.post("responses", json=body, headers=working_key)
    during = await _progress(control)
    response.close()
    after = await _progress_with(control, "aborted", 1)

    assert (during["open_requests"], during["aborted"]) == (1, 0)
    assert (after["open_requests"], after["requests"]) == (0, 1)


async def test_a_flood_stands_still_while_nobody_reads(
    http: aiohttp.ClientSession, working_key: dict[str, str], control: aiohttp.ClientSession
) -> None:
    body = {"model": "m-flood", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    async with http.post("chat/completions", json=body, headers=working_key) as response:
        size = len(await response.content.readexactly(1_000_000))
        written = 0
        while written != (now := (await _progress(control))["bytes_written"]):
            written = now
        async for piece in response.content.iter_any():
            size += len(piece)

    assert written < 32 * 1024 * 1024
    assert 60 * 1024 * 1024 < size < 64 * 1024 * 1024
    assert (await _progress(control))["bytes_written"] == size


async def test_a_reset_forgets_counts_and_releases(
    sdk: openai.AsyncOpenAI, control: aiohttp.ClientSession
) -> None:
    await sdk.models.list()
    async with control.post("release?n=5"), control.post("reset") as response:
        counts = await response.json()
    stream = await sdk.chat.completions.create(
        model="gpt-4o-paced", messages=[{"role": "user", "content": "hi"}], stream=True
    )

    assert set(counts.values()) == {0}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await anext(aiter(stream))
    await stream.close()


async def test_a_turn_whose_stream_is_gone_goes_to_the_next(
    sdk: openai.AsyncOpenAI, control: aiohttp.ClientSession
) -> None:
    async def open_stream() -> openai.AsyncStream[Any]:
        return await sdk.chat.completions.create(
            model="m-paced", messages=[{"role": "user", "content": "hi"}], stream=True
        )

    gone, waiting = await open_stream(), await open_stream()
    await gone.close()
    await _progress_with(control, "aborted", 1)
    async with control.post("release"):
        pass

    assert (await anext(aiter(waiting))).choices[0].delta.role == "assistant"
    await waiting.close()


@pytest.mark.parametrize("count", ["0", "x", "-1", "100001"])
async def test_the_number_to_release_is_checked(control: aiohttp.ClientSession, count: str) -> None:
    async with control.post(f"release?n={count}") as response:
        assert response.status == 400


async def test_control_requests_are_not_recorded(
    control: aiohttp.ClientSession,
    http: aiohttp.ClientSession,
    read_record: Callable[[], list[dict[str, Any]]],
) -> None:
    await _progress(control)
    async with http.get("models"):
        pass

    assert [line["path"] for line in read_record()] == ["/v1/models"]
