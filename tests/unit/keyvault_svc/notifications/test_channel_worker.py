from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from keyvault_svc.domain.events import EventType
from keyvault_svc.notifications.channel import Attempt, Verdict
from keyvault_svc.notifications.channel_worker import ChannelWorker
from keyvault_svc.notifications.retry_schedule import RetrySchedule
from svc_runtime.call_context import bind_request_id
from tests.fakes.fake_clock import FakeClock
from tests.unit.keyvault_svc.notifications.event_samples import sample_event
from tests.unit.keyvault_svc.notifications.scripted_channel import (
    DELIVERED,
    FAILED,
    GONE,
    REFUSED,
    Answer,
    ScriptedChannel,
)


@dataclass
class Stage:
    """A worker whose time the test turns."""

    channel: ScriptedChannel
    schedule: RetrySchedule = field(default_factory=RetrySchedule)
    clock: FakeClock = field(default_factory=FakeClock)
    max_waiting: int = 100

    def __post_init__(self) -> None:
        self.worker = ChannelWorker(
            self.channel,
            self.clock,
            self.schedule,
            max_waiting=self.max_waiting,
            jitter=lambda: 1.0,
        )

    def put(self, *key_ids: str, event_type: EventType = EventType.KEY_DUE) -> None:
        for key_id in key_ids:
            self.worker.put(sample_event(event_type, key_id=key_id))

    async def run_for(self, seconds: float) -> None:
        """Let the worker do what it would do in *seconds*."""
        end = self.clock.monotonic() + seconds
        while (wait := await self.worker.try_next()) <= end - self.clock.monotonic():
            self.clock.advance(wait)
        self.clock.advance(end - self.clock.monotonic())


def _stage(*answers: Answer, **options: int) -> Stage:
    return Stage(ScriptedChannel(answers), **options)  # type: ignore[arg-type]  # max_waiting only


async def test_events_are_delivered_in_order() -> None:
    stage = _stage()
    stage.put("k1", "k2", "k3")

    await stage.run_for(0)

    assert stage.channel.tried == ["k1", "k2", "k3"]


async def test_an_idle_worker_waits_without_end() -> None:
    assert await _stage().worker.try_next() == math.inf


async def test_an_event_that_the_channel_does_not_want_is_not_delivered() -> None:
    stage = Stage(ScriptedChannel(is_wanted=False))
    stage.put("k1")

    await stage.run_for(0)

    assert stage.channel.tried == []


async def test_a_failed_event_is_tried_again_after_longer_and_longer_waits() -> None:
    stage = _stage(*[FAILED] * 4)
    stage.put("k1")

    waits = [await stage.worker.try_next()]
    for _ in range(4):
        waits.append(await stage.worker.try_next())
        stage.clock.advance(waits[-1])
        await stage.worker.try_next()

    assert waits == [0, 2, 4, 8, 16]
    assert stage.channel.tried == ["k1"] * 5


async def test_order_is_kept_while_the_receiver_is_away_for_a_moment() -> None:
    stage = _stage(FAILED, FAILED)
    stage.put("k1", "k2", "k3")

    await stage.run_for(10)

    assert stage.channel.tried == ["k1", "k1", "k1", "k2", "k3"]


async def test_one_event_that_is_never_taken_does_not_hold_the_others_up() -> None:
    stage = Stage(ScriptedChannel(never_taken="k1"))
    stage.put("k1", "k2", "k3")

    await stage.run_for(200)

    assert stage.channel.tried == [*["k1"] * 6, "k2", "k3", "k1"]


async def test_a_receiver_that_is_away_is_asked_about_once_a_minute() -> None:
    stage = _stage(*[FAILED] * 10_000)
    stage.put(*[f"k{number}" for number in range(100)])

    await stage.run_for(3600)

    assert 60 <= len(stage.channel.tried) <= 66


async def test_a_receiver_is_left_alone_for_as_long_as_it_asks() -> None:
    stage = _stage(Attempt(Verdict.RETRY, "receiver_failed", 429, retry_after_seconds=500.0))
    stage.put("k1", "k2")

    await stage.run_for(499)
    before = list(stage.channel.tried)
    await stage.run_for(1)

    assert before == ["k1"]
    assert stage.channel.tried == ["k1", "k1", "k2"]


async def test_an_event_is_given_up_after_its_last_try() -> None:
    stage = Stage(ScriptedChannel([FAILED] * 3), RetrySchedule(max_attempts=3))
    stage.put("k1", "k2")

    with capture_logs() as logs:
        await stage.run_for(60)

    assert stage.channel.tried == ["k1", "k1", "k1", "k2"]
    lost = [log for log in logs if log["event"] == "notification_lost"]
    assert [(log["attempt"], log["reason"], log["receiver_status"]) for log in lost] == [
        (3, "receiver_failed", 503)
    ]


async def test_an_event_that_got_a_day_old_is_given_up() -> None:
    stage = _stage()
    stage.put("k1")
    stage.clock.advance(86_401)

    with capture_logs() as logs:
        await stage.run_for(0)

    assert stage.channel.tried == []
    assert [log["reason"] for log in logs] == ["too_old"]


async def test_a_refused_event_is_not_tried_again() -> None:
    stage = _stage(REFUSED)
    stage.put("k1", "k2")

    await stage.run_for(3600)

    assert stage.channel.tried == ["k1", "k2"]


async def test_a_receiver_that_is_gone_gets_nothing_more() -> None:
    stage = _stage(GONE)
    stage.put("k1", "k2")

    with capture_logs() as logs:
        await stage.worker.run()
    stage.put("k3")

    assert stage.channel.tried == ["k1"]
    assert await stage.worker.try_next() == math.inf
    closed = [log for log in logs if log["event"] == "notification_channel_closed"]
    assert [log["count"] for log in closed] == [1]


async def test_a_broken_channel_is_tried_again_and_its_text_is_not_logged() -> None:
    stage = _stage(RuntimeError("whsec_c2VjcmV0"))
    stage.put("k1")

    with capture_logs() as logs:
        await stage.run_for(10)

    assert stage.channel.tried == ["k1", "k1"]
    assert "internal_error" in [log.get("reason") for log in logs]
    assert "whsec_" not in str([{**log, "exc_info": None} for log in logs])


async def test_a_try_that_takes_too_long_is_a_failure() -> None:
    channel = ScriptedChannel(hold=asyncio.Event())
    stage = Stage(channel, RetrySchedule(attempt_seconds=0.01))
    stage.put("k1")

    with capture_logs() as logs:
        await stage.worker.try_next()

    assert [(log["event"], log["reason"]) for log in logs] == [
        ("notification_delayed", "timed_out")
    ]


async def test_what_a_full_queue_drops_is_logged_as_a_number() -> None:
    stage = _stage(max_waiting=2)
    stage.put("k1", "k2", "k3", "k4", "k5")

    with capture_logs() as logs:
        await stage.run_for(0)

    lost = [log for log in logs if log["event"] == "notifications_lost"]
    assert [(log["reason"], log["count"]) for log in lost] == [("queue_full", 3)]
    assert stage.channel.tried == ["k4", "k5"]


async def test_a_worker_wakes_up_for_a_new_event() -> None:
    stage = _stage()
    running = asyncio.create_task(stage.worker.run())
    await asyncio.sleep(0)  # it runs until it waits

    stage.put("k1")

    assert await stage.channel.tries.get() == "k1"
    stage.worker.drain()
    await running


async def test_draining_does_not_wait_for_retries() -> None:
    stage = _stage(FAILED, DELIVERED)
    stage.put("k1")
    await stage.worker.try_next()

    stage.worker.drain()
    await stage.worker.run()

    assert stage.channel.tried == ["k1", "k1"]


async def test_draining_gives_up_when_the_receiver_is_away() -> None:
    stage = _stage(*[FAILED] * 10)
    stage.put("k1", "k2", "k3", "k4", "k5")

    stage.worker.drain()
    with capture_logs() as logs:
        await stage.worker.run()
        await stage.worker.close()

    assert stage.channel.tried == ["k1", "k2", "k3"]
    assert stage.channel.is_closed
    lost = [log for log in logs if log["event"] == "notifications_lost"]
    assert [(log["reason"], log["count"]) for log in lost] == [("stopped", 2)]


@pytest.mark.parametrize("answer", [DELIVERED, FAILED, REFUSED], ids=lambda a: a.verdict.value)
async def test_what_a_worker_logs_names_the_event_and_no_more(answer: Attempt) -> None:
    stage = _stage(answer)
    stage.put("k1")

    with capture_logs() as logs:
        await stage.worker.try_next()

    assert [set(log) for log in logs] == [
        {
            "event",
            "log_level",
            "channel",
            "notification",
            "notification_type",
            "attempt",
            "reason",
            "receiver_status",
        }
    ]


async def test_what_becomes_of_an_event_is_logged_under_the_request_that_it_came_of() -> None:
    stage = _stage(FAILED, DELIVERED)
    with bind_request_id("request-0001"):
        stage.put("k1")

    with capture_logs(processors=[merge_contextvars]) as logs:
        await stage.run_for(3600)

    assert [(log["event"], log.get("request_id")) for log in logs] == [
        ("notification_delayed", "request-0001"),
        ("notification_delivered", "request-0001"),
    ]
