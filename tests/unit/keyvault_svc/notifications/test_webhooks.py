from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from keyvault_svc.domain.events import EventType
from keyvault_svc.notifications.webhooks import retry_after_seconds, webhook_body
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.notifications.event_samples import sample_event


def test_the_body_says_what_happened() -> None:
    event = sample_event(
        EventType.BUDGET_REACHED,
        scope="grant",
        limit="usd_per_day",
        percent="80",
        until="2026-03-02T00:00:00Z",
        inner="not told",
    )

    assert json.loads(webhook_body(event)) == {
        "type": "budget_reached",
        "timestamp": "2026-03-01T12:00:00Z",
        "data": {
            "id": event.event_id,
            "owner": "users/alice",
            "key": "users/alice/keys/openai",
            "grant": "users/alice/keys/openai/grants/0123456789abcdef",
            "app": "spiffe://example.org/app",
            "facts": {
                "scope": "grant",
                "limit": "usd_per_day",
                "percent": "80",
                "until": "2026-03-02T00:00:00Z",
            },
            "title": "A budget is used to 80 percent",
            "text": event.sentence,
        },
    }


def test_the_time_is_told_in_utc() -> None:
    local = datetime(2026, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))

    body = json.loads(webhook_body(sample_event(time=local)))

    assert body["timestamp"] == "2026-03-01T12:00:00Z"


def test_a_body_is_small_whatever_the_facts_are() -> None:
    event = sample_event(EventType.GRANT_NEW_NETWORK, network="\U0001f511" * 100_000)

    assert len(webhook_body(event)) < 20_000


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("120", 120),
        ("-5", 0),
        ("1e9", 0),
        ("\u0661", 0),
        ("9" * 5000, 0),
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60),
        ("Sun, 01 Mar 2026 11:59:00 GMT", 0),
        ("Sun, 01 Mar 2026 12:01:00 -0000", 0),
        ("tomorrow", 0),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    assert retry_after_seconds(header, START.astimezone(UTC)) == seconds
