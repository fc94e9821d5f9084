"""An event as a mail of plain text, to an address that nobody else can choose."""

from __future__ import annotations

import re
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from keyvault_svc.domain.events import Event
from keyvault_svc.domain.names import OwnerKind, OwnerName
from keyvault_svc.notification_settings import MailSettings

_PLACEHOLDER: Final = "{id}"
# The dot-atom of RFC 5322, 3.4.1, without the characters that mail servers give a meaning to.
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?!\.))*(?<![.])")
_MAX_LOCAL_CHARS: Final = 64  # RFC 5321, 4.5.3.1.1
_FOOTER: Final = "This mail was sent by Keyturn, and nobody reads answers to it."


def address_template(settings: MailSettings, kind: OwnerKind) -> str | None:
    """Return the template of addresses of owners of this kind; None if they get no mail."""
    return settings.users if kind is OwnerKind.USER else settings.teams


def address_of(template: str, owner: OwnerName) -> str | None:
    """Return the address that *template* makes of the id of *owner*; None if it makes none."""
    before, _, domain = template.partition("@")
    local_part = before.replace(_PLACEHOLDER, owner.owner_id)
    if len(local_part) > _MAX_LOCAL_CHARS or not _LOCAL_PART.fullmatch(local_part):
        return None
    return f"{local_part}@{domain}"


def mail_message(event: Event, sender: str, recipient: str) -> EmailMessage:
    """Return the mail that tells *event*.

    Args:
        event: What is told.
        sender: An address.
        recipient: An address.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = Address("Keyturn", addr_spec=sender)
    message["To"] = Address(addr_spec=recipient)
    message["Subject"] = f"Keyturn: {event.title}"
    message["Date"] = event.time.astimezone(UTC)
    message["Message-ID"] = f"<{event.event_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    message.set_content(_text(event))
    return message


def _text(event: Event) -> str:
    details = {
        "owner": str(event.owner),
        "key": event.key,
        "grant": event.grant,
        "app": event.app,
        "time": event.time.astimezone(UTC).isoformat(timespec="seconds"),
        **event.told_facts(),
    }
    lines = [f"{name}: {value}" for name, value in details.items() if value]
    return "\n".join([event.sentence, "", *lines, "", "-- ", _FOOTER, ""])
