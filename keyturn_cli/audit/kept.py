"""What rules keep of the last minutes: forgotten in time, and written into checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple
from typing import Any, Generic, Protocol, TypeVar, cast


class Dated(Protocol):
    """A flat dataclass of texts, numbers and truth values, with the time that it is of."""

    time_us: int


D = TypeVar("D", bound=Dated)


class Kept(Generic[D]):
    """Things by their key, in the order in which they came, which is nearly that of time."""

    def __init__(self, make: Callable[..., D]) -> None:
        """Keep things of the dataclass *make*."""
        self._make = make
        self._things: dict[str, D] = {}

    def __len__(self) -> int:
        return len(self._things)

    def __iter__(self) -> Iterator[tuple[str, D]]:
        return iter(self._things.items())

    def get(self, key: str) -> D | None:
        """Return what is kept under *key*."""
        return self._things.get(key)

    def put(self, key: str, thing: D) -> None:
        """Keep *thing* under *key*, in place of what was there."""
        self._things[key] = thing

    def pop(self, key: str) -> D | None:
        """Forget what is kept under *key*, and return it."""
        return self._things.pop(key, None)

    def pop_before(self, time_us: int) -> list[tuple[str, D]]:
        """Forget what came first, for as long as it is of before *time_us*, and return it."""
        past: list[tuple[str, D]] = []
        for key, thing in self._things.items():
            if thing.time_us >= time_us:
                break
            past.append((key, thing))
        for key, _ in past:
            del self._things[key]
        return past

    def pop_all(self) -> list[tuple[str, D]]:
        """Forget everything, and return it."""
        things, self._things = self._things, {}
        return list(things.items())

    def state(self) -> list[list[Any]]:
        """Return everything as JSON types."""
        return [
            [key, *astuple(cast("Any", thing))]  # a protocol cannot ask for a dataclass
            for key, thing in self._things.items()
        ]

    def restore(self, state: list[list[Any]]) -> None:
        """Keep what *state* says, in place of everything."""
        self._things = {key: self._make(*fields) for key, *fields in state}
