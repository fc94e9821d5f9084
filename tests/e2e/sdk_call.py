"""What a call of the openai SDK is made of, written once for its two clients."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

Sdk = Any
"""An `openai.OpenAI` or an `openai.AsyncOpenAI`: what the one returns, the other awaits."""
Things = Mapping[str, str]
"""Ids of what was made at OpenAI beforehand, by what it is."""
Run = Callable[[Sdk, Things], Awaitable[object]]


@dataclass(frozen=True)
class SdkCall:
    """A use of the SDK, and what comes out of it.

    Attributes:
        run: Uses a client, and returns what it parsed of the answers. Two runs send the same
            bodies to the same paths, except for ids of what a run makes itself.
        gives: What *run* returns; every run does.
    """

    run: Run
    gives: object


class SdkCalls(dict[str, SdkCall]):
    """Calls by name."""

    def giving(self, gives: object) -> Callable[[Run], Run]:
        """Add the decorated function, under its own name, as a call that returns *gives*."""

        def add(run: Run) -> Run:
            self[run.__name__] = SdkCall(run, gives)
            return run

        return add


async def given(answer: Any) -> Any:  # noqa: ANN401 - whatever the SDK's method returns
    """Return what a method of either client answers."""
    return await answer if inspect.isawaitable(answer) else answer


async def all_of(things: Any) -> list[Any]:  # noqa: ANN401 - pages and streams of either client
    """Return the elements of all pages, or of a stream, of either client."""
    if hasattr(things, "__aiter__"):
        return [thing async for thing in things]
    if inspect.isawaitable(things):
        return await all_of(await things)
    return list(things)


@asynccontextmanager
async def within(manager: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - of either client
    """Enter a context manager of either client."""
    if hasattr(manager, "__aenter__"):
        async with manager as entered:
            yield entered
    else:
        with manager as entered:
            yield entered
