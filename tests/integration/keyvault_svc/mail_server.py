"""A mail server on loopback, and the files by which the key service reaches it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from keyvault_svc.notification_settings import MailSettings, NotificationSettings
from keyvault_svc.notifications.channels import open_channels
from keyvault_svc.notifications.mail import MailChannel
from keyvault_svc.notifications.outbox import Outbox
from keyvault_svc.notifications.retry_schedule import RetrySchedule
from svc_runtime.clock import SystemClock
from tests.certs import Authority

USER = "keyturn"
PASSWORD = "the password of the mail account"
QUICK = RetrySchedule(first_seconds=0.01, max_seconds=0.02)
ENOUGH_SECONDS = 30.0


@dataclass
class Received:
    """A mail as the server got it."""

    sender: str | None
    recipients: list[str]
    message: EmailMessage
    is_by_tls: bool
    is_logged_in: bool


@dataclass
class MailServer:
    """Answers mails, recipients and passwords as told: the answers in turn, then yes."""

    data_answers: Iterable[str] = ()
    recipient_answers: Iterable[str] = ()
    options: dict[str, Any] = field(default_factory=dict)
    is_tls_from_start: bool = False
    mails: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)
    port: int = 0

    def __post_init__(self) -> None:
        self._data_answers = iter(self.data_answers)
        self._recipient_answers = iter(self.recipient_answers)

    # The names of the next two are those that aiosmtpd looks for.
    async def handle_RCPT(  # noqa: N802 - see above
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        answer = next(self._recipient_answers, "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802 - see above
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        assert server.transport is not None
        is_by_tls = server.transport.get_extra_info("ssl_object") is not None
        self.mails.put_nowait(
            Received(
                envelope.mail_from,
                list(envelope.rcpt_tos),
                message,
                is_by_tls,
                session.authenticated is True,
            )
        )
        return next(self._data_answers, "250 OK")

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None) -> AsyncIterator[None]:
        sessions: list[SMTP] = []

        def connect() -> SMTP:
            start_tls = None if self.is_tls_from_start else tls
            session = SMTP(self, hostname="localhost", tls_context=start_tls, **self.options)
            sessions.append(session)
            return session

        server = await asyncio.get_running_loop().create_server(
            connect, "127.0.0.1", 0, ssl=tls if self.is_tls_from_start else None
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for session in sessions:
                if isinstance(session.transport, asyncio.WriteTransport):
                    session.transport.abort()
            await asyncio.sleep(0)  # the loop's next round closes the sockets


@dataclass
class Place:
    """A CA, and the files of the key service."""

    folder: Path
    authority: Authority = field(default_factory=Authority)

    def __post_init__(self) -> None:
        (self.folder / "ca.pem").write_bytes(self.authority.pem)
        (self.folder / "password").write_text(PASSWORD + "\n")
        pair = self.authority.server()
        (self.folder / "server.pem").write_bytes(pair.certificate + pair.key)

    @property
    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / "server.pem")
        return context

    def settings(self, server: MailServer, **options: object) -> MailSettings:
        given = {
            "host": "127.0.0.1",
            "port": server.port,
            "ca_file": self.folder / "ca.pem",
            "sender": "keyturn@example.com",
            "users": "{id}@example.com",
            "teams": "team-{id}@lists.example.com",
            **options,
        }
        return MailSettings.model_validate(given)

    def login(self) -> dict[str, object]:
        return {"username": USER, "password_file": self.folder / "password"}

    def channel(self, server: MailServer, **options: object) -> MailChannel:
        return MailChannel("mail", self.settings(server, **options))

    @asynccontextmanager
    async def outbox(self, server: MailServer, **options: object) -> AsyncIterator[Outbox]:
        clock = SystemClock()
        settings = NotificationSettings(mail=self.settings(server, **options))
        outbox = Outbox(open_channels(settings, clock), clock, QUICK)
        outbox.start()
        try:
            yield outbox
        finally:
            await outbox.stop(ENOUGH_SECONDS)
