from __future__ import annotations

import asyncio
from io import StringIO

from structlog.testing import capture_logs

from keyvault_svc.domain.events import Event, EventType
from keyvault_svc.notifications.outbox import Outbox
from keyvault_svc.notifications.retry_schedule import RetrySchedule
from svc_runtime.clock import SystemClock
from tests.fakes.figures import measured_figures
from tests.unit.keyvault_svc.notifications.event_samples import APP, sample_event
from tests.unit.keyvault_svc.notifications.scripted_channel import (
    FAILED,
    GONE,
    REFUSED,
    Answer,
    ScriptedChannel,
)

ENOUGH_SECONDS = 30.0
QUICK = RetrySchedule(max_attempts=3, first_seconds=0.05, max_seconds=0.05, max_pause_seconds=0.001)


class _UnwillingChannel(ScriptedChannel):
    def wants(self, event: Event) -> bool:
        raise RuntimeError(f"sk-canary {event.key}")


def _outbox(*channels: ScriptedChannel) -> Outbox:
    return Outbox(channels, SystemClock())


async def test_every_channel_gets_every_event() -> None:
    one, other = ScriptedChannel(), ScriptedChannel()
    outbox = _outbox(one, other)
    outbox.start()

    outbox.notify(sample_event(key_id="k1"))
    outbox.notify(sample_event(key_id="k2"))
    await outbox.stop(ENOUGH_SECONDS)

    assert one.tried == other.tried == ["k1", "k2"]


async def test_a_channel_that_stands_still_does_not_delay_another() -> None:
    stuck, other = ScriptedChannel(hold=asyncio.Event()), ScriptedChannel()
    outbox = _outbox(stuck, other)
    outbox.start()

    outbox.notify(sample_event(key_id="k1"))
    outbox.notify(sample_event(key_id="k2"))

    assert await other.tries.get() == "k1"
    assert await other.tries.get() == "k2"
    assert stuck.tried == ["k1"]
    await outbox.stop(0)


async def test_events_from_before_the_start_are_delivered() -> None:
    channel = ScriptedChannel()
    outbox = _outbox(channel)

    outbox.notify(sample_event(key_id="k1"))
    outbox.start()

    assert await channel.tries.get() == "k1"
    await outbox.stop(ENOUGH_SECONDS)


async def test_an_event_is_logged_even_if_no_channel_is_there() -> None:
    event = sample_event(EventType.BUDGET_REACHED, percent="80", scope="grant")

    with capture_logs() as logs:
        _outbox().notify(event)

    assert logs == [
        {
            "event": "notification",
            "log_level": "info",
            "notification": event.event_id,
            "notification_type": "budget_reached",
            "owner": "users/alice",
            "key": "users/alice/keys/openai",
            "grant": "users/alice/keys/openai/grants/0123456789abcdef",
            "app": APP,
            "percent": "80",
        }
    ]


async def test_repeats_within_a_minute_are_told_once() -> None:
    channel = ScriptedChannel()
    outbox = _outbox(channel)
    outbox.start()

    for percent in ("50", "50", "80", "50"):
        event = sample_event(EventType.BUDGET_REACHED, key_id=f"k{percent}", percent=percent)
        outbox.notify(event)
    await outbox.stop(ENOUGH_SECONDS)

    assert channel.tried == ["k50", "k80"]


async def test_notifying_never_raises() -> None:
    with capture_logs() as logs:
        _outbox(_UnwillingChannel()).notify(sample_event())

    assert [log["event"] for log in logs] == ["notification", "notification_broke"]


async def test_what_notifying_raised_is_logged_without_its_text(
    log_lines: StringIO,
) -> None:
    _outbox(_UnwillingChannel()).notify(sample_event())

    assert "notification_broke" in log_lines.getvalue()
    assert "RuntimeError" in log_lines.getvalue()
    assert "sk-canary" not in log_lines.getvalue()


async def test_stopping_takes_no_longer_than_allowed() -> None:
    stuck, other = ScriptedChannel(hold=asyncio.Event()), ScriptedChannel()
    outbox = _outbox(stuck, other)
    outbox.start()
    for key_id in ("k1", "k2", "k3"):
        outbox.notify(sample_event(key_id=key_id))
    await stuck.tries.get()

    with capture_logs() as logs:
        await outbox.stop(0.01)

    lost = [log for log in logs if log["event"] == "notifications_lost"]
    assert [(log["channel"], log["count"]) for log in lost] == [("scripted", 3)]
    assert other.tried == ["k1", "k2", "k3"]
    assert stuck.is_closed
    assert other.is_closed


async def test_an_event_that_waits_for_a_retry_is_tried_once_more_at_the_end() -> None:
    channel = ScriptedChannel([FAILED])
    outbox = _outbox(channel)
    outbox.start()
    outbox.notify(sample_event(key_id="k1"))
    await channel.tries.get()

    await outbox.stop(ENOUGH_SECONDS)

    assert channel.tried == ["k1", "k1"]


async def _finish(*answers: Answer, never_taken: str = "") -> tuple[int, list[str]]:
    """Have a channel that answers so take three events; return what was lost, and the tries."""
    channel, other = ScriptedChannel(answers, never_taken=never_taken), ScriptedChannel()
    outbox = Outbox([channel, other], SystemClock(), QUICK)
    outbox.start()
    for key_id in ("k1", "k2", "k3"):
        outbox.notify(sample_event(key_id=key_id))
    lost = await outbox.finish()
    assert other.tried == ["k1", "k2", "k3"]
    assert channel.is_closed
    assert other.is_closed
    return lost, channel.tried


async def test_finishing_delivers_everything() -> None:
    assert await _finish() == (0, ["k1", "k2", "k3"])


async def test_finishing_tries_again_what_fails() -> None:
    lost, tried = await _finish(FAILED, FAILED)

    assert lost == 0
    assert (len(tried), set(tried)) == (5, {"k1", "k2", "k3"})


async def test_finishing_counts_what_is_refused() -> None:
    assert await _finish(REFUSED) == (1, ["k1", "k2", "k3"])


async def test_finishing_counts_what_fails_at_every_try() -> None:
    lost, tried = await _finish(never_taken="k2")

    assert (lost, tried.count("k2")) == (1, QUICK.max_attempts)


async def test_finishing_ends_when_the_receiver_is_away() -> None:
    lost, tried = await _finish(*[FAILED] * 100)

    assert (lost, len(tried)) == (3, QUICK.max_attempts)


async def test_finishing_counts_what_a_receiver_that_is_gone_does_not_get() -> None:
    assert await _finish(GONE) == (3, ["k1"])


async def test_finishing_with_nothing_to_deliver_ends() -> None:
    outbox = _outbox(ScriptedChannel())
    outbox.start()

    assert await outbox.finish() == 0


async def test_finishing_counts_what_a_full_queue_dropped() -> None:
    outbox = Outbox([ScriptedChannel()], SystemClock(), max_waiting=2)
    for number in range(5):
        outbox.notify(sample_event(key_id=f"k{number}"))
    outbox.start()

    assert await outbox.finish() == 3


async def test_an_outbox_that_was_never_started_stops() -> None:
    channel = ScriptedChannel()
    outbox = _outbox(channel)
    outbox.notify(sample_event())

    with capture_logs() as logs:
        await outbox.stop(ENOUGH_SECONDS)

    assert [log["count"] for log in logs] == [1]


async def test_what_waits_is_counted_by_the_kind_of_channel() -> None:
    names = ("mail", "webhooks[0]", "webhooks[1]")
    outbox = _outbox(*(ScriptedChannel(name=name) for name in names))

    outbox.notify(sample_event(key_id="k1"))
    waiting = dict(outbox.waiting())
    await outbox.stop(0)

    assert waiting == {"mail": 1, "webhooks": 2}


async def test_what_is_given_up_is_counted_by_the_kind_of_channel() -> None:
    with measured_figures() as figures:
        outbox = _outbox(ScriptedChannel([REFUSED], name="webhooks[3]"), ScriptedChannel())
        outbox.start()
        outbox.notify(sample_event(key_id="k1"))
        await outbox.stop(ENOUGH_SECONDS)

        assert figures.of("keyturn_notifications_dropped_total") == {(("channel", "webhooks"),): 1}
