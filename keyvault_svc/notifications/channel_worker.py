"""Delivers what waits for one channel, in its own time."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Callable
from typing import Final

import structlog

from keyvault_svc.domain.events import Event
from keyvault_svc.metrics import NOTIFICATIONS_DROPPED
from keyvault_svc.notifications.channel import Attempt, Channel, Verdict
from keyvault_svc.notifications.delivery_queue import Delivery, DeliveryQueue
from keyvault_svc.notifications.retry_schedule import RetrySchedule
from svc_runtime.call_context import bind_request_id, bound_request_id
from svc_runtime.clock import Clock

_log = structlog.get_logger()

MAX_WAITING: Final = 10_000  # events for one channel; some 10 MB
_MAX_DRAIN_FAILURES: Final = 3  # in a row: then the receiver is away, and no event is to blame
_TIMED_OUT: Final = Attempt(Verdict.RETRY, "timed_out")
_BROKEN: Final = Attempt(Verdict.RETRY, "internal_error")


class ChannelWorker:
    """Tries deliveries one after another; no other channel waits for it.

    A receiver that fails is left alone for a while, and then asked with the oldest event that is
    due. So events arrive in order as long as the receiver takes them, and one that it never takes
    holds the others up for at most `RetrySchedule.max_pause_seconds` at a time.
    """

    def __init__(
        self,
        channel: Channel,
        clock: Clock,
        schedule: RetrySchedule,
        *,
        max_waiting: int = MAX_WAITING,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._channel = channel
        self._clock = clock
        self._schedule = schedule
        self._jitter = jitter
        self._queue = DeliveryQueue(max_waiting)
        self._is_wanted = asyncio.Event()
        self._is_draining = False
        self._is_finishing = False
        self._is_gone = False
        self._lost_count = 0
        self._dropped_count = 0
        self._failures = 0  # in a row
        self._pause_end = -math.inf

    def put(self, event: Event) -> None:
        """Take *event* along if the channel wants it."""
        if self._is_gone or not self._channel.wants(event):
            return
        if self._queue.put(event, self._clock.monotonic(), bound_request_id()) is not None:
            self._dropped_count += 1
            self._count_lost()
        self._is_wanted.set()

    @property
    def kind(self) -> str:
        """What sort of receiver it has: its name, without its number."""
        return self._channel.name.partition("[")[0]

    @property
    def waiting_count(self) -> int:
        """How many events wait."""
        return len(self._queue)

    @property
    def lost_count(self) -> int:
        """How many events were given up so far."""
        return self._lost_count

    async def run(self) -> None:
        """Deliver until nothing is left after `drain` or `finish`, or the receiver is gone."""
        while not self._is_gone:
            self._is_wanted.clear()
            wait_seconds = await self.try_next()
            if self._is_drained() or self._is_finished():
                return
            if wait_seconds > 0:
                await self._until_wanted(wait_seconds)

    def drain(self) -> None:
        """Let `run` try what waits once more, without waiting, and then end.

        It ends early when the receiver is away.
        """
        self._is_draining = True
        self._failures = 0
        self._is_wanted.set()

    def finish(self) -> None:
        """Let `run` end once nothing is left; what fails is tried again as the schedule says.

        It ends early when as many tries in a row failed as one event may have.
        """
        self._is_finishing = True
        self._is_wanted.set()

    async def close(self) -> None:
        """Give up what waits, and close the channel."""
        self._report_dropped()
        if lost := self._clear():
            _log.warning(
                "notifications_lost", channel=self._channel.name, reason="stopped", count=lost
            )
        await self._channel.aclose()

    async def try_next(self) -> float:
        """Try the next delivery, if one is due; return for how many seconds to wait then."""
        now = self._clock.monotonic()
        if not self._is_draining and self._pause_end > now:
            return self._pause_end - now
        self._report_dropped()
        delivery = self._queue.take(math.inf if self._is_draining else now)
        if delivery is not None:
            with bind_request_id(delivery.request_id):
                await self._try(delivery)
            return 0.0
        return max(0.0, self._queue.next_due() - now)

    async def _try(self, delivery: Delivery) -> None:
        if self._schedule.is_too_old(self._clock.monotonic() - delivery.put_time):
            self._give_up(delivery, Attempt(Verdict.REFUSED, "too_old"))
            return
        delivery.attempts += 1
        attempt = await self._attempt(delivery.event)
        match attempt.verdict:
            case Verdict.DELIVERED:
                self._failures = 0
                self._queue.remove(delivery)
                _log.info("notification_delivered", **self._fields(delivery, attempt))
            case Verdict.RETRY:
                self._retry(delivery, attempt)
            case Verdict.REFUSED:
                self._failures = 0
                self._give_up(delivery, attempt)
            case Verdict.GONE:
                self._is_gone = True
                self._give_up(delivery, attempt)
                _log.warning(
                    "notification_channel_closed",
                    channel=self._channel.name,
                    reason=attempt.reason,
                    count=self._clear(),
                )

    async def _attempt(self, event: Event) -> Attempt:
        try:
            async with asyncio.timeout(self._schedule.attempt_seconds):
                return await self._channel.deliver(event)
        except TimeoutError:
            return _TIMED_OUT
        except Exception as error:  # noqa: BLE001  # one event must not end the channel
            _log.error(  # type and place are logged, never the text
                "notification_channel_broke", channel=self._channel.name, exc_info=error
            )
            return _BROKEN

    def _retry(self, delivery: Delivery, attempt: Attempt) -> None:
        self._failures += 1
        jitter, asked = self._jitter(), attempt.retry_after_seconds
        now = self._clock.monotonic()
        self._pause_end = now + self._schedule.pause_seconds(self._failures, jitter, asked)
        if self._is_draining or self._schedule.is_last(delivery.attempts):
            self._give_up(delivery, attempt)
            return
        due = now + self._schedule.delay_seconds(delivery.attempts, jitter, asked)
        self._queue.put_back(delivery, due)
        _log.warning("notification_delayed", **self._fields(delivery, attempt))

    def _give_up(self, delivery: Delivery, attempt: Attempt) -> None:
        self._queue.remove(delivery)
        self._count_lost()
        _log.error("notification_lost", **self._fields(delivery, attempt))

    def _fields(self, delivery: Delivery, attempt: Attempt) -> dict[str, str | int]:
        return {
            "channel": self._channel.name,
            "notification": delivery.event.event_id,
            "notification_type": delivery.event.type.value,
            "attempt": delivery.attempts,
            "reason": attempt.reason,
            "receiver_status": attempt.status,
        }

    def _report_dropped(self) -> None:
        if self._dropped_count:
            _log.warning(
                "notifications_lost",
                channel=self._channel.name,
                reason="queue_full",
                count=self._dropped_count,
            )
            self._dropped_count = 0

    def _is_drained(self) -> bool:
        is_away = self._failures >= _MAX_DRAIN_FAILURES
        return self._is_draining and (is_away or not len(self._queue))

    def _is_finished(self) -> bool:
        is_away = self._schedule.is_last(self._failures)
        return self._is_finishing and (is_away or not len(self._queue))

    def _count_lost(self, count: int = 1) -> None:
        self._lost_count += count
        NOTIFICATIONS_DROPPED.add(count, self.kind)

    def _clear(self) -> int:
        count = self._queue.clear()
        self._count_lost(count)
        return count

    async def _until_wanted(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds if math.isfinite(seconds) else None):
                await self._is_wanted.wait()
