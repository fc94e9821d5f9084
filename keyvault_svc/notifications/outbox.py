"""Takes events off the path of requests, logs each, and hands it to every channel."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import structlog

from keyvault_svc.domain.events import Event
from keyvault_svc.notifications.channel import Channel
from keyvault_svc.notifications.channel_worker import MAX_WAITING, ChannelWorker
from keyvault_svc.notifications.repeat_filter import RepeatFilter
from keyvault_svc.notifications.retry_schedule import RetrySchedule
from svc_runtime.clock import Clock

_log = structlog.get_logger()


class Outbox:
    """`Notifier` that delivers by any number of channels, with one worker for each.

    It holds events in memory: what is not delivered when the process ends is lost, but logged.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        clock: Clock,
        schedule: RetrySchedule | None = None,
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        schedule = schedule or RetrySchedule()
        self._workers = [
            ChannelWorker(channel, clock, schedule, max_waiting=max_waiting) for channel in channels
        ]
        self._repeats = RepeatFilter(clock)
        self._tasks: set[asyncio.Task[None]] = set()

    def notify(self, event: Event) -> None:
        """Log *event* and have it delivered, unless it repeats one of the last minute.

        To be called in the event loop's thread. See `Notifier`.
        """
        try:
            if self._repeats.is_repeat(event.occasion):
                return
            self._log(event)
            for worker in self._workers:
                worker.put(event)
        except Exception as error:  # noqa: BLE001  # no request may fail for it
            _log.error("notification_broke", exc_info=error)  # as it says: by type

    def waiting(self) -> Mapping[str, int]:
        """Return how many deliveries wait, by the kind of channel."""
        counts = Counter[str]()
        for worker in self._workers:
            counts[worker.kind] += worker.waiting_count
        return counts

    def start(self) -> None:
        """Begin to deliver."""
        self._tasks = {asyncio.create_task(worker.run()) for worker in self._workers}

    async def stop(self, within_seconds: float) -> None:
        """Try what waits once more, for at most *within_seconds*; log how much is lost."""
        for worker in self._workers:
            worker.drain()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self._workers:
            await worker.close()

    async def finish(self) -> int:
        """Deliver what waits, with all the tries that the schedule allows, and end.

        Returns:
            How many deliveries were given up. An event counts once for each channel.
        """
        for worker in self._workers:
            worker.finish()
        try:
            await asyncio.gather(*self._tasks)
        finally:
            for worker in self._workers:
                await worker.close()
        return sum(worker.lost_count for worker in self._workers)

    def _log(self, event: Event) -> None:
        facts = event.told_facts()
        fields = {
            "notification": event.event_id,
            "notification_type": event.type.value,
            "owner": str(event.owner),
            "key": event.key,
            "grant": event.grant,
            "app": event.app,
            "percent": facts.get("percent"),
            "detail": facts.get("change"),
        }
        _log.info("notification", **{name: value for name, value in fields.items() if value})
