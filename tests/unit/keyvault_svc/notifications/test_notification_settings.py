from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from keyvault_svc.domain.events import EventType
from keyvault_svc.notification_settings import MailSettings, NotificationSettings, WebhookSettings

WEBHOOK: dict[str, Any] = {"url": "https://hooks.example.com/keyturn", "secret_files": ["/s"]}
MAIL: dict[str, Any] = {
    "host": "mail.example.com",
    "sender": "keyturn@example.com",
    "users": "{id}@example.com",
}


def test_nobody_is_told_by_default() -> None:
    settings = NotificationSettings()

    assert settings.webhooks == ()
    assert settings.mail is None


def test_a_webhook_gets_all_events_by_default() -> None:
    webhook = WebhookSettings(**WEBHOOK)

    assert (webhook.events, webhook.owners) == ((), ())


def test_a_webhook_can_be_narrowed() -> None:
    webhook = WebhookSettings(**WEBHOOK | {"events": ["anomaly"], "owners": ["teams/payments"]})

    assert webhook.events == (EventType.ANOMALY,)
    assert webhook.owners == ("teams/payments",)


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://hooks.example.com/"},
        {"url": "https://token@hooks.example.com/"},
        {"url": "https://hooks.example.com/?token=secret"},
        {"url": "https://hooks.example.com/#secret"},
        {"url": "https://hooks.example.com/\n"},
        {"url": "https:///path"},
        {"secret_files": []},
        {"secret_files": ["/s"] * 6},
        {"events": ["everything"]},
        {"owners": ["alice"]},
        {"owners": ["users/../x"]},
        {"timeout_seconds": 0},
        {"timeout_seconds": 31},
        {"secret": "whsec_x"},
    ],
    ids=str,
)
def test_a_webhook_that_breaks_a_rule_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WebhookSettings(**WEBHOOK | change)


def test_mail_is_sent_by_starttls_by_default() -> None:
    mail = MailSettings(**MAIL)

    assert (mail.security, mail.port) == ("starttls", 587)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_mail_in_the_clear_is_allowed_on_loopback(host: str) -> None:
    assert MailSettings(**MAIL | {"host": host, "security": "none"}).host == host


@pytest.mark.parametrize(
    "change",
    [
        {"security": "none"},
        {"security": "none", "host": "127.0.0.1.example.com"},
        {"security": "none", "host": "192.0.2.1"},
        {"host": "a b"},
        {"username": "u"},
        {"password_file": "/p"},
        {"users": None},
        {"users": "alice@example.com"},
        {"users": "{id}@{id}.example.com"},
        {"users": "{id}{id}@example.com"},
        {"users": "alice@{id}"},
        {"users": "{name}@example.com"},
        {"users": "{id}@example.com,eve@example.com"},
        {"users": "{id}@example.com\r\nBcc: eve@example.com"},
        {"sender": "Keyturn <keyturn@example.com>"},
        {"sender": "keyturn@example.com\r\nBcc: eve@example.com"},
        {"sender": "keyturn"},
        {"port": 0},
    ],
    ids=str,
)
def test_mail_that_breaks_a_rule_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MailSettings(**MAIL | change)


def test_teams_alone_may_get_mail() -> None:
    mail = MailSettings(**MAIL | {"users": None, "teams": "{id}@lists.example.com"})

    assert mail.teams == "{id}@lists.example.com"
