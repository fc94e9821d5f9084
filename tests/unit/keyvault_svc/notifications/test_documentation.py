"""What `docs/notifications.md` promises to receivers."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from keyvault_svc.domain.events import WORDING, EventType
from keyvault_svc.notification_settings import NotificationSettings
from keyvault_svc.notifications.webhooks import webhook_body
from tests.architecture.documented_tables import code_words, table_rows
from tests.architecture.source_tree import ROOT
from tests.unit.keyvault_svc.notifications.event_samples import sample_event

PAGE = "docs/notifications.md"


def _example(language: str) -> str:
    text = Path(ROOT, PAGE).read_text(encoding="utf-8")
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_every_event_is_documented_with_its_facts() -> None:
    documented = {
        code_words(name)[0]: tuple(code_words(facts))
        for name, facts, _ in table_rows(PAGE, "Events", "event")
    }

    assert documented == {event_type.value: WORDING[event_type].facts for event_type in EventType}


def test_the_example_is_what_a_receiver_gets() -> None:
    event = sample_event(
        EventType.BUDGET_REACHED,
        scope="grant",
        limit="usd_per_day",
        percent="80",
        until="2026-03-02T00:00:00Z",
    )

    assert json.loads(_example("json")) == json.loads(webhook_body(event))


def test_the_settings_of_the_example_are_valid() -> None:
    given = tomllib.loads(_example("toml"))["notifications"]

    settings = NotificationSettings.model_validate(given)

    assert len(settings.webhooks) == 2
    assert settings.mail is not None
