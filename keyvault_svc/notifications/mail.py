"""Events as mail to their owners."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final

import aiosmtplib
from aiosmtplib import errors

from keyvault_svc.domain.events import Event
from keyvault_svc.notification_settings import MailSecurity, MailSettings
from keyvault_svc.notifications.channel import Attempt, Verdict
from keyvault_svc.notifications.mail_message import address_of, address_template, mail_message
from keyvault_svc.notifications.secret_files import read_password
from keyvault_svc.notifications.trust import tls_context
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.settings_models import SettingsError

_PERMANENT: Final = 500
_REASONS: Final[Mapping[type[errors.SMTPResponseException], str]] = {
    errors.SMTPAuthenticationError: "login_refused",
    errors.SMTPSenderRefused: "sender_refused",
}


class MailChannel:
    """Mails each event to its owner, by a connection of its own."""

    def __init__(self, name: str, settings: MailSettings) -> None:
        """Check what can be checked before the first event.

        Raises:
            SettingsError: The password or the CA cannot be used.
        """
        self._name = name
        self._settings = settings
        self._tls = tls_context(settings.ca_file)
        _password(settings)

    @property
    def name(self) -> str:
        """How logs call it."""
        return self._name

    def wants(self, event: Event) -> bool:
        """Tell whether the settings name the event's type, and owners of its kind get mail."""
        is_named = not self._settings.events or event.type in self._settings.events
        return is_named and address_template(self._settings, event.owner.kind) is not None

    async def deliver(self, event: Event) -> Attempt:
        """Hand *event* to the mail server once."""
        template = address_template(self._settings, event.owner.kind)
        recipient = address_of(template or "", event.owner)
        if recipient is None:
            return Attempt(Verdict.REFUSED, "address_impossible")
        try:
            password = await asyncio.to_thread(_password, self._settings)
        except SettingsError:
            return Attempt(Verdict.RETRY, "secret_unreadable")
        message = mail_message(event, self._settings.sender, recipient).as_bytes()
        try:
            await self._send(message, recipient, password)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return _judged(error)
        return Attempt(Verdict.DELIVERED)

    async def aclose(self) -> None:
        """Do nothing: no connection outlives its mail."""

    async def _send(self, message: bytes, recipient: str, password: SecretBytes | None) -> None:
        settings = self._settings
        await aiosmtplib.send(
            message,
            sender=settings.sender,
            recipients=[recipient],
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=None if password is None else password.expose(),
            # Without it the library asks the resolver for a name, which can take long.
            local_hostname=settings.sender.rpartition("@")[2],
            timeout=settings.timeout_seconds,
            use_tls=settings.security is MailSecurity.TLS,
            start_tls=settings.security is MailSecurity.STARTTLS,  # True: refuse a server without
            tls_context=None if settings.security is MailSecurity.NONE else self._tls,
        )


def _judged(error: Exception) -> Attempt:
    """Return what *error* means. A text of the server's may repeat anything: it stays here."""
    match error:
        case errors.SMTPRecipientsRefused(recipients=[first, *_]):
            return _judged_by_code("recipient_refused", first.code)
        case errors.SMTPDataError(code=code):
            return _judged_by_code("message_refused", code)
        case errors.SMTPResponseException(code=code):
            # What the server holds against the login or the sender, operators can mend.
            return Attempt(Verdict.RETRY, _REASONS.get(type(error), "server_refused"), code)
        case _:
            return Attempt(Verdict.RETRY, _no_answer_reason(error))


def _no_answer_reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed_out"
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return "tls_failed"
    return "unreachable" if isinstance(error, OSError) else "not_supported"


def _judged_by_code(reason: str, code: int) -> Attempt:
    return Attempt(Verdict.REFUSED if code >= _PERMANENT else Verdict.RETRY, reason, code)


def _password(settings: MailSettings) -> SecretBytes | None:
    return None if settings.password_file is None else read_password(settings.password_file)
