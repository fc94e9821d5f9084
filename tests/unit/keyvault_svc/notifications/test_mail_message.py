from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest

from keyvault_svc.domain.events import EventType
from keyvault_svc.domain.names import OwnerKind, OwnerName
from keyvault_svc.notifications.mail_message import address_of, mail_message
from tests.unit.keyvault_svc.notifications.event_samples import sample_event

SENDER = "keyturn@example.com"
RECIPIENT = "alice@example.com"


@pytest.mark.parametrize(
    ("template", "owner_id", "address"),
    [
        ("{id}@example.com", "alice", "alice@example.com"),
        ("{id}@example.com", "a.b-c_d", "a.b-c_d@example.com"),
        ("team-{id}@lists.example.com", "payments", "team-payments@lists.example.com"),
        ("keys+{id}@example.com", "payments", "keys+payments@example.com"),
    ],
)
def test_the_address_of_an_owner_follows_the_template(
    template: str, owner_id: str, address: str
) -> None:
    assert address_of(template, OwnerName(OwnerKind.USER, owner_id)) == address


@pytest.mark.parametrize(
    "owner_id",
    [
        "",
        "a..b",
        ".a",
        "a.",
        "-oQ/tmp",
        "a b",
        "a@evil.example",
        "a\r\nBcc: b@evil.example",
        "a>,<b",
        '"a"',
        "a,b",
        "a%b",
        "a!b",
        "\u00e4",
        "a\u0000",
        "{id}",
        "x" * 65,
    ],
)
def test_an_id_that_is_no_plain_local_part_has_no_address(owner_id: str) -> None:
    assert address_of("{id}@example.com", OwnerName(OwnerKind.USER, owner_id)) is None


def test_the_mail_is_plain_text_with_what_to_do() -> None:
    event = sample_event(EventType.GRANT_NEW_NETWORK, network="192.0.2.0/24")

    parsed = message_from_bytes(mail_message(event, SENDER, RECIPIENT).as_bytes(), policy=default)

    assert parsed.get_content_type() == "text/plain"
    assert parsed.get_content().splitlines()[:8] == [
        event.sentence,
        "",
        "owner: users/alice",
        "key: users/alice/keys/openai",
        "grant: users/alice/keys/openai/grants/0123456789abcdef",
        "app: spiffe://example.org/app",
        "time: 2026-03-01T12:00:00+00:00",
        "network: 192.0.2.0/24",
    ]


def test_the_headers_name_the_event_and_ask_for_no_answer() -> None:
    event = sample_event(EventType.BUDGET_REACHED, percent="80")

    headers = dict(mail_message(event, SENDER, RECIPIENT).items())

    assert headers["From"] == "Keyturn <keyturn@example.com>"
    assert headers["To"] == RECIPIENT
    assert headers["Subject"] == "Keyturn: A budget is used to 80 percent"
    assert headers["Date"] == "Sun, 01 Mar 2026 12:00:00 +0000"
    assert headers["Message-ID"] == f"<{event.event_id}@example.com>"
    assert headers["Auto-Submitted"] == "auto-generated"


def test_a_repetition_is_the_same_mail() -> None:
    one, other = (mail_message(sample_event(), SENDER, RECIPIENT) for _ in range(2))

    assert one.as_bytes() == other.as_bytes()


def test_a_fact_cannot_add_a_header() -> None:
    event = sample_event(EventType.BUDGET_REACHED, percent="80\r\nBcc: eve@example.com")

    message = mail_message(event, SENDER, RECIPIENT)

    assert message["Bcc"] is None
    assert message["Subject"] == "Keyturn: A budget is used to 80Bcc: eve@example.com percent"
