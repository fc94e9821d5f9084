"""Streams, many at once and one held back: nothing dropped, reordered, delayed or piled up."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import pytest

from tests.e2e.clients import Clients
from tests.e2e.owners import OwnedKey, give_key
from tests.e2e.stream_control import allow_many_files, gateway_pid, resident_kib, standin
from tests.e2e.stream_ways import DONE, WAYS, Way, http_apps, http_events

STREAMS = 1000
TOGETHER = 100  # that begin in one instant: each waits for its lease
NUMBERS = [f"{number} " for number in range(50)]  # what the stand-in's `-many` says
CHUNKS = ["", *NUMBERS, ""]  # first the role, last the reason to finish
EVENTS = len(CHUNKS) + 2  # the usage, which the gateway takes out, and OpenAI's mark
FLOOD_CHARACTERS = 4000 * 16384
SLOW_READERS = 4
# What the gateway may hold of an answer that is not read: its own buffers, both of TLS's included.
MAX_GROWTH_KIB = SLOW_READERS * 6 * 1024
# Half of the answers: the rest waits at OpenAI. Most of it is in the kernel's buffers.
MAX_TAKEN_BYTES = SLOW_READERS * FLOOD_CHARACTERS // 2

ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "streams"))


def _are_open(requests: int, counts: dict[str, int]) -> bool:
    return counts["open_requests"] == requests


@ways
async def test_each_chunk_is_here_before_the_next_is_made(
    clients: Clients, key: OwnedKey, way: Way
) -> None:
    received = []
    async with standin(clients) as openai, way(clients, key, "gpt-4o-many-paced") as events:
        for made in range(1, len(CHUNKS) + 1):
            await openai.release()
            received.append(await anext(events))
            assert (await openai.progress())["events"] == made
        await openai.release(EVENTS - len(CHUNKS))
        received += [event async for event in events]

    assert [event for event in received if event != DONE] == CHUNKS


@ways
async def test_a_reader_that_stops_makes_openai_wait_and_not_the_gateway_grow(
    clients: Clients, key: OwnedKey, way: Way
) -> None:
    pid = gateway_pid(clients)
    async with standin(clients) as openai, AsyncExitStack() as readers:
        async with way(clients, key, "gpt-4o-many") as events:
            assert len([event async for event in events]) >= len(CHUNKS)
        before_kib = resident_kib(pid)
        streams = [
            await readers.enter_async_context(way(clients, key, "gpt-4o-flood"))
            for _ in range(SLOW_READERS)
        ]
        for events in streams:
            await anext(events)
        taken = await openai.until_still()
        growth_kib = resident_kib(pid) - before_kib
        whole = sum([len(event) async for event in streams[0] if event != DONE])

    assert whole == FLOOD_CHARACTERS
    assert taken < MAX_TAKEN_BYTES
    assert growth_kib < MAX_GROWTH_KIB


@ways
@pytest.mark.parametrize("model", ["gpt-4o-hang", "gpt-4o-paced", "gpt-4o-flood"])
async def test_an_app_that_leaves_ends_the_request_to_openai(
    clients: Clients, key: OwnedKey, way: Way, model: str
) -> None:
    async def stream() -> None:
        async with way(clients, key, model) as events:
            await anext(events)
            await asyncio.Event().wait()

    async with standin(clients) as openai:
        app = asyncio.create_task(stream())
        await openai.until(lambda counts: counts["open_requests"] == 1)
        app.cancel()
        counts = await openai.until(lambda counts: counts["open_requests"] == 0)

    assert counts["aborted"] == 1


# The last: what a gateway frees after it blurs what others of it would measure.
async def test_a_thousand_streams_at_once_come_whole_and_in_order(
    clients: Clients, key: OwnedKey
) -> None:
    allow_many_files(clients)
    async with standin(clients) as openai, http_apps(clients, key) as http:

        async def stream() -> list[str]:
            async with http_events(http, "gpt-4o-many-paced") as events:
                return [event async for event in events]

        streams: list[asyncio.Task[list[str]]] = []
        for begun in range(TOGETHER, STREAMS + 1, TOGETHER):
            streams += [asyncio.create_task(stream()) for _ in range(TOGETHER)]
            await openai.until(partial(_are_open, begun))
        await openai.release(STREAMS * EVENTS)
        answers = await asyncio.gather(*streams)

    assert all(answer == [*CHUNKS, DONE] for answer in answers)
