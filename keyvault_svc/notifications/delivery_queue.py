"""The events that wait for one channel: bounded, in order, those that failed at their time."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

from keyvault_svc.domain.events import Event


@dataclass(slots=True)
class Delivery:
    """An event on its way through one channel.

    Attributes:
        number: Its place in the order.
        event: What is told.
        put_time: When it was put, on the monotonic clock, in seconds.
        request_id: The request that it came of, or a run of background work.
        attempts: How often it was tried.
    """

    number: int
    event: Event
    put_time: float
    request_id: str
    attempts: int = 0


class DeliveryQueue:
    """Holds at most *max_size* deliveries, which is at least 2.

    Of those that may be tried the oldest comes first. Putting into a full queue drops the oldest
    that is not urgent, or the oldest of all when all are urgent.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._count = 0
        self._waiting: dict[int, Delivery] = {}  # in order, as dicts keep it; like the next
        self._ordinary: dict[int, None] = {}
        # Heaps of numbers; one that is not in `_waiting` any more was dropped.
        self._ready: list[int] = []
        self._later: list[tuple[float, int]] = []
        self._under_way: int | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: Event, now: float, request_id: str) -> Event | None:
        """Put *event* behind the others; return the one that was dropped for it, if any."""
        dropped = self._drop() if len(self._waiting) >= self._max_size else None
        self._count += 1
        self._waiting[self._count] = Delivery(self._count, event, now, request_id)
        if not event.is_urgent:
            self._ordinary[self._count] = None
        heapq.heappush(self._ready, self._count)
        return dropped

    def take(self, now: float) -> Delivery | None:
        """Return the oldest delivery that may be tried; it stays until `remove` or `put_back`."""
        while self._later and self._later[0][0] <= now:
            heapq.heappush(self._ready, heapq.heappop(self._later)[1])
        while self._ready:
            delivery = self._waiting.get(heapq.heappop(self._ready))
            if delivery is not None:
                self._under_way = delivery.number
                return delivery
        return None

    def next_due(self) -> float:
        """Return when the next delivery may be tried; minus infinity for now, infinity for none."""
        while self._ready and self._ready[0] not in self._waiting:
            heapq.heappop(self._ready)
        if self._ready:
            return -math.inf
        while self._later and self._later[0][1] not in self._waiting:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else math.inf

    def put_back(self, delivery: Delivery, due: float) -> None:
        """Let *delivery*, which was taken, be tried again from *due* on."""
        self._under_way = None
        heapq.heappush(self._later, (due, delivery.number))

    def remove(self, delivery: Delivery) -> None:
        """Forget *delivery*, which was taken."""
        self._under_way = None
        self._forget(delivery.number)

    def clear(self) -> int:
        """Forget all; return how many that were."""
        count = len(self._waiting)
        for content in (self._waiting, self._ordinary, self._ready, self._later):
            content.clear()
        return count

    def _drop(self) -> Event:
        oldest = (number for number in self._ordinary if number != self._under_way)
        oldest_urgent = (number for number in self._waiting if number != self._under_way)
        victim = next(oldest, None) or next(oldest_urgent)
        event = self._waiting[victim].event
        self._forget(victim)
        if len(self._ready) + len(self._later) > 2 * self._max_size:
            self._ready = [number for number in self._ready if number in self._waiting]
            self._later = [entry for entry in self._later if entry[1] in self._waiting]
            heapq.heapify(self._ready)
            heapq.heapify(self._later)
        return event

    def _forget(self, number: int) -> None:
        self._waiting.pop(number, None)
        self._ordinary.pop(number, None)
