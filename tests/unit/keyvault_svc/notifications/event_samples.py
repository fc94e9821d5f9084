"""Events for tests."""

from __future__ import annotations

from datetime import datetime

from keyvault_svc.domain.events import Event, EventType
from keyvault_svc.domain.names import OwnerName
from tests.fakes.fake_clock import START

APP = "spiffe://example.org/app"


def sample_event(
    event_type: EventType = EventType.KEY_DUE,
    owner: str = "users/alice",
    key_id: str = "openai",
    time: datetime = START,
    **facts: str,
) -> Event:
    """Return an event about the key *key_id* of *owner*."""
    key = f"{owner}/keys/{key_id}"
    grant = f"{key}/grants/0123456789abcdef"
    return Event(event_type, OwnerName.parse(owner, "owner"), key, grant, APP, time, facts)
