"""Webhooks, as a receiver on loopback gets them over TLS."""

from __future__ import annotations

import asyncio
import json
from email.utils import format_datetime
from io import StringIO
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from keyvault_svc.domain.events import Event, EventType
from keyvault_svc.notification_settings import NotificationSettings
from keyvault_svc.notifications.channel import Verdict
from keyvault_svc.notifications.channels import open_channels
from svc_runtime.clock import SystemClock
from svc_runtime.settings_models import SettingsError
from tests.certs import Authority
from tests.fakes.fake_clock import START
from tests.integration.keyvault_svc.webhook_receiver import (
    NEW_SECRET,
    OLD_SECRET,
    Place,
    Receiver,
)
from tests.unit.keyvault_svc.notifications.event_samples import sample_event
from tests.unit.keyvault_svc.notifications.service_log import log_lines

__all__ = ["log_lines"]

HTTP_DATE = format_datetime(START.replace(year=2999), usegmt=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def _keys(receiver: Receiver) -> list[str]:
    return [receiver.requests.get_nowait().key[-2:] for _ in range(receiver.requests.qsize())]


def _events(*key_ids: str, owner: str = "users/alice") -> list[Event]:
    return [sample_event(key_id=key_id, owner=owner) for key_id in key_ids]


async def _next_keys(receiver: Receiver, count: int) -> list[str]:
    return [(await receiver.requests.get()).key[-2:] for _ in range(count)]


async def test_a_receiver_verifies_the_signature_and_reads_the_event(place: Place) -> None:
    receiver = Receiver()
    event = sample_event(EventType.ANOMALY, what="calls from two continents")

    async with place.serving(receiver), place.channel(receiver.url) as channel:
        attempt = await channel.deliver(event)

    delivered = receiver.requests.get_nowait()
    payload = Webhook(OLD_SECRET).verify(delivered.body, delivered.headers)
    assert (attempt.verdict, attempt.status) == (Verdict.DELIVERED, 204)
    assert payload["type"] == "anomaly"
    assert payload["data"]["facts"] == {"what": "calls from two continents"}
    assert delivered.headers["webhook-id"] == event.event_id
    assert delivered.headers["content-type"] == "application/json"


async def test_a_receiver_with_another_secret_refuses_the_signature(place: Place) -> None:
    receiver = Receiver()

    async with place.serving(receiver), place.channel(receiver.url) as channel:
        await channel.deliver(sample_event())

    delivered = receiver.requests.get_nowait()
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW_SECRET).verify(delivered.body, delivered.headers)


async def test_during_a_rotation_either_secret_verifies(place: Place) -> None:
    receiver = Receiver()

    async with place.serving(receiver), place.channel(receiver.url, "new", "old") as channel:
        await channel.deliver(sample_event())

    delivered = receiver.requests.get_nowait()
    for secret in (OLD_SECRET, NEW_SECRET):
        Webhook(secret).verify(delivered.body, delivered.headers)


async def test_a_replaced_secret_signs_the_next_delivery(place: Place) -> None:
    receiver = Receiver()

    async with place.serving(receiver), place.channel(receiver.url) as channel:
        place.write_secret("old", NEW_SECRET)
        await channel.deliver(sample_event())

    delivered = receiver.requests.get_nowait()
    Webhook(NEW_SECRET).verify(delivered.body, delivered.headers)


async def test_an_unreadable_secret_delays_and_sends_nothing(place: Place) -> None:
    receiver = Receiver()

    async with place.serving(receiver), place.channel(receiver.url) as channel:
        (place.folder / "old").unlink()
        attempt = await channel.deliver(sample_event())

    assert (attempt.verdict, attempt.reason) == (Verdict.RETRY, "secret_unreadable")
    assert receiver.requests.empty()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (202, Verdict.DELIVERED),
        (301, Verdict.REFUSED),
        (307, Verdict.REFUSED),
        (400, Verdict.REFUSED),
        (401, Verdict.REFUSED),
        (404, Verdict.REFUSED),
        (410, Verdict.GONE),
        (429, Verdict.RETRY),
        (500, Verdict.RETRY),
        (503, Verdict.RETRY),
    ],
)
async def test_the_status_decides_what_follows(place: Place, status: int, verdict: Verdict) -> None:
    receiver = Receiver([status], {"location": "/elsewhere"})

    async with place.serving(receiver), place.channel(receiver.url) as channel:
        attempt = await channel.deliver(sample_event())

    assert (attempt.verdict, attempt.status) == (verdict, status)
    assert receiver.requests.qsize() == 1


@pytest.mark.parametrize(("header", "most"), [("7", 7.0), (HTTP_DATE, 1e11)], ids=["s", "date"])
async def test_a_busy_receiver_may_say_for_how_long(place: Place, header: str, most: float) -> None:
    receiver = Receiver([429], {"retry-after": header})

    async with place.serving(receiver), place.channel(receiver.url) as channel:
        attempt = await channel.deliver(sample_event())

    assert 6.9 < attempt.retry_after_seconds <= most


async def test_failures_are_retried_with_the_same_id_until_they_arrive(place: Place) -> None:
    receiver = Receiver([503, 429, None, 500], {"retry-after": "86400"})
    event = sample_event()

    async with place.serving(receiver):
        webhook = place.settings(receiver.url, timeout_seconds=0.3)
        async with place.outbox(webhook) as outbox:
            outbox.notify(event)
            delivered = [await receiver.requests.get() for _ in range(5)]

    assert {request.headers["webhook-id"] for request in delivered} == {event.event_id}
    assert {request.body for request in delivered} == {delivered[0].body}
    assert receiver.requests.empty()


async def test_a_refused_connection_is_retried(place: Place, unused_tcp_port: int) -> None:
    receiver = Receiver()
    webhook = place.settings(f"https://127.0.0.1:{unused_tcp_port}/")

    async with place.channel(webhook.url) as channel:
        attempt = await channel.deliver(sample_event())
    async with place.outbox(webhook) as outbox:
        outbox.notify(sample_event())
        async with receiver.serving(place.authority.server(), place.folder, unused_tcp_port):
            delivered = await receiver.requests.get()

    assert (attempt.verdict, attempt.reason) == (Verdict.RETRY, "unreachable")
    assert delivered.key == sample_event().key


async def test_a_receiver_that_does_not_answer_times_out(place: Place) -> None:
    receiver = Receiver([None])

    async with place.serving(receiver), place.channel(receiver.url, timeout_seconds=0.2) as hook:
        attempt = await hook.deliver(sample_event())

    assert (attempt.verdict, attempt.reason) == (Verdict.RETRY, "timed_out")


@pytest.mark.parametrize("case", ["other CA", "other name"])
async def test_a_receiver_with_a_wrong_certificate_gets_nothing(place: Place, case: str) -> None:
    receiver = Receiver()
    pair = {
        "other CA": Authority().server(),
        "other name": place.authority.issue(uris=["https://other.example.com"]),
    }[case]

    async with receiver.serving(pair, place.folder), place.channel(receiver.url) as channel:
        attempt = await channel.deliver(sample_event())

    assert (attempt.verdict, attempt.reason) == (Verdict.RETRY, "tls_failed")
    assert receiver.requests.empty()


async def test_events_arrive_in_order(place: Place) -> None:
    receiver = Receiver([503, 204, 503])

    async with place.serving(receiver), place.outbox(receiver) as outbox:
        for event in _events("k1", "k2", "k3"):
            outbox.notify(event)
        keys = await _next_keys(receiver, 5)

    assert keys == ["k1", "k1", "k2", "k2", "k3"]


async def test_a_dead_receiver_does_not_delay_another(place: Place) -> None:
    dead, alive = Receiver([None] * 10), Receiver()

    async with place.serving(dead), place.serving(alive), place.outbox(dead, alive) as outbox:
        outbox.notify(sample_event(key_id="k1"))
        await dead.requests.get()
        outbox.notify(sample_event(key_id="k2"))
        keys = await _next_keys(alive, 2)
        await outbox.stop(0)

    assert keys == ["k1", "k2"]


async def test_a_receiver_that_is_gone_gets_no_further_event(place: Place) -> None:
    receiver = Receiver([410])

    async with place.serving(receiver), place.outbox(receiver) as outbox:
        for event in _events("k1", "k2"):
            outbox.notify(event)

    assert _keys(receiver) == ["k1"]


async def test_each_receiver_gets_the_events_and_owners_it_is_for(place: Place) -> None:
    anomalies, payments = Receiver(), Receiver()

    async with place.serving(anomalies), place.serving(payments):
        webhooks = [
            place.settings(anomalies.url, events=["anomaly"]),
            place.settings(payments.url, owners=["teams/payments"]),
        ]
        async with place.outbox(*webhooks) as outbox:
            outbox.notify(sample_event(EventType.ANOMALY, key_id="k1"))
            outbox.notify(sample_event(EventType.KEY_DUE, key_id="k2", owner="teams/payments"))
            outbox.notify(sample_event(EventType.KEY_DUE, key_id="k3"))

    assert _keys(anomalies) == ["k1"]
    assert _keys(payments) == ["k2"]


async def test_stopping_is_bounded_when_the_receiver_does_not_answer(place: Place) -> None:
    receiver = Receiver([None])

    async with place.serving(receiver), place.outbox(receiver) as outbox:
        outbox.notify(sample_event())
        await receiver.requests.get()
        async with asyncio.timeout(5):  # the time-out of the delivery is 10
            await outbox.stop(0.05)


async def test_logs_hold_no_secret_and_no_address(place: Place, log_lines: StringIO) -> None:
    receiver = Receiver([503, 400, 410])

    async with place.serving(receiver), place.outbox(receiver) as outbox:
        for event in _events("k1", "k2", "k3"):
            outbox.notify(event)
        await _next_keys(receiver, 3)

    logged = log_lines.getvalue()
    events = [json.loads(line)["event"] for line in logged.splitlines()]
    assert {"notification", "notification_delayed", "notification_lost"} <= set(events)
    for secret in (OLD_SECRET, NEW_SECRET, OLD_SECRET[6:], "secret of the", "hook-path", "127.0"):
        assert secret not in logged


@pytest.mark.parametrize("file", ["ca.pem", "old"])
def test_a_file_that_cannot_be_used_stops_the_start(place: Place, file: str) -> None:
    (place.folder / file).write_text("whsec_dG9vIHNob3J0")

    with pytest.raises(SettingsError, match=file) as caught:
        open_channels(
            NotificationSettings(webhooks=(place.settings("https://127.0.0.1/"),)), SystemClock()
        )

    assert "dG9v" not in str(caught.value)
