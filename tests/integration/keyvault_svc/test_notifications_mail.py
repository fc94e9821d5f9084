"""Mail, as a real mail server on loopback gets it."""

from __future__ import annotations

import asyncio
import base64
import json
from io import StringIO
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from keyvault_svc.domain.events import EventType
from keyvault_svc.domain.names import OwnerKind, OwnerName
from keyvault_svc.notifications.channel import Attempt, Verdict
from svc_runtime.settings_models import SettingsError
from tests.certs import Authority
from tests.integration.keyvault_svc.mail_server import (
    PASSWORD,
    USER,
    MailServer,
    Place,
)
from tests.unit.keyvault_svc.notifications.event_samples import sample_event
from tests.unit.keyvault_svc.notifications.service_log import log_lines

__all__ = ["log_lines"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def _authenticator(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
) -> AuthResult:
    is_known = data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_known, handled=False)


WITH_LOGIN = {"authenticator": _authenticator, "auth_required": True, "require_starttls": True}


async def test_the_owner_gets_a_mail_that_says_what_to_do(place: Place) -> None:
    server = MailServer()
    event = sample_event(EventType.KEY_REJECTED)

    async with server.serving(place.tls):
        attempt = await place.channel(server).deliver(event)

    mail = server.mails.get_nowait()
    assert attempt == Attempt(Verdict.DELIVERED)
    assert (mail.sender, mail.recipients) == ("keyturn@example.com", ["alice@example.com"])
    assert mail.is_by_tls
    assert mail.message["Subject"] == "Keyturn: OpenAI rejected a key"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["Message-ID"] == f"<{event.event_id}@example.com>"
    assert mail.message.get_content().splitlines()[0] == event.sentence


async def test_a_team_gets_mail_at_its_list(place: Place) -> None:
    server = MailServer()

    async with server.serving(place.tls):
        await place.channel(server).deliver(sample_event(owner="teams/payments"))

    assert server.mails.get_nowait().recipients == ["team-payments@lists.example.com"]


async def test_the_service_logs_in_by_tls(place: Place) -> None:
    server = MailServer(options=WITH_LOGIN)

    async with server.serving(place.tls):
        attempt = await place.channel(server, **place.login()).deliver(sample_event())

    assert attempt.verdict is Verdict.DELIVERED
    mail = server.mails.get_nowait()
    assert (mail.is_by_tls, mail.is_logged_in) == (True, True)


async def test_mail_goes_by_tls_from_the_start(place: Place) -> None:
    server = MailServer(is_tls_from_start=True)

    async with server.serving(place.tls):
        attempt = await place.channel(server, security="tls").deliver(sample_event())

    assert attempt.verdict is Verdict.DELIVERED
    assert server.mails.get_nowait().is_by_tls


async def test_mail_goes_in_the_clear_on_loopback_if_the_operator_says_so(place: Place) -> None:
    server = MailServer()

    async with server.serving(None):
        attempt = await place.channel(server, security="none").deliver(sample_event())

    assert attempt.verdict is Verdict.DELIVERED
    assert not server.mails.get_nowait().is_by_tls


async def test_a_server_without_starttls_gets_neither_mail_nor_password(place: Place) -> None:
    server = MailServer(options={"authenticator": _authenticator, "auth_require_tls": False})

    async with server.serving(None):
        attempt = await place.channel(server, **place.login()).deliver(sample_event())

    assert (attempt.verdict, attempt.reason) == (Verdict.RETRY, "not_supported")
    assert server.mails.empty()


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_of_another_ca_gets_no_mail(place: Place, security: str) -> None:
    server = MailServer(is_tls_from_start=security == "tls")
    (place.folder / "ca.pem").write_bytes(Authority().pem)

    async with server.serving(place.tls):
        attempt = await place.channel(server, security=security).deliver(sample_event())

    assert (attempt.verdict, attempt.reason) == (Verdict.RETRY, "tls_failed")
    assert server.mails.empty()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("550 no such user", Attempt(Verdict.REFUSED, "recipient_refused", 550)),
        ("450 try later", Attempt(Verdict.RETRY, "recipient_refused", 450)),
    ],
)
async def test_the_answer_about_the_recipient_decides_what_follows(
    place: Place, answer: str, expected: Attempt
) -> None:
    server = MailServer(recipient_answers=[answer])

    async with server.serving(place.tls):
        attempt = await place.channel(server).deliver(sample_event())

    assert attempt == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("554 is spam", Attempt(Verdict.REFUSED, "message_refused", 554)),
        ("451 try later", Attempt(Verdict.RETRY, "message_refused", 451)),
    ],
)
async def test_the_answer_about_the_mail_decides_what_follows(
    place: Place, answer: str, expected: Attempt
) -> None:
    server = MailServer(data_answers=[answer])

    async with server.serving(place.tls):
        attempt = await place.channel(server).deliver(sample_event())

    assert attempt == expected


async def test_a_refused_login_is_retried_because_operators_can_mend_it(place: Place) -> None:
    server = MailServer(options=WITH_LOGIN)

    async with server.serving(place.tls):
        channel = place.channel(server, **place.login())
        (place.folder / "password").write_text("wrong")
        refused = await channel.deliver(sample_event())
        (place.folder / "password").write_text(PASSWORD)
        delivered = await channel.deliver(sample_event())

    assert refused == Attempt(Verdict.RETRY, "login_refused", 535)
    assert delivered == Attempt(Verdict.DELIVERED)


async def test_an_unreadable_password_delays_and_sends_nothing(place: Place) -> None:
    server = MailServer(options=WITH_LOGIN)

    async with server.serving(place.tls):
        channel = place.channel(server, **place.login())
        (place.folder / "password").unlink()
        attempt = await channel.deliver(sample_event())

    assert attempt == Attempt(Verdict.RETRY, "secret_unreadable")
    assert server.mails.empty()


async def test_a_refused_connection_is_retried(place: Place, unused_tcp_port: int) -> None:
    server = MailServer(port=unused_tcp_port)

    attempt = await place.channel(server).deliver(sample_event())

    assert attempt == Attempt(Verdict.RETRY, "unreachable")


async def test_a_server_that_does_not_greet_times_out(place: Place) -> None:
    over, is_closed = asyncio.Event(), asyncio.Event()

    async def stand_still(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.transport.abort()
        is_closed.set()

    silent = await asyncio.start_server(stand_still, "127.0.0.1", 0)
    async with silent:
        server = MailServer(port=silent.sockets[0].getsockname()[1])
        attempt = await place.channel(server, timeout_seconds=0.2).deliver(sample_event())
        over.set()
        await is_closed.wait()

    assert attempt == Attempt(Verdict.RETRY, "timed_out")


@pytest.mark.parametrize("owner_id", ["a..b", "a\r\nRCPT TO:<eve@example.com>", "a>b", "a@b"])
async def test_an_owner_whose_id_is_no_address_gets_no_mail(place: Place, owner_id: str) -> None:
    server = MailServer()
    event = sample_event()
    object.__setattr__(event, "owner", OwnerName(OwnerKind.USER, owner_id))

    async with server.serving(place.tls):
        attempt = await place.channel(server).deliver(event)

    assert attempt == Attempt(Verdict.REFUSED, "address_impossible")
    assert server.mails.empty()


async def test_a_mail_that_was_put_off_arrives_with_the_same_id(place: Place) -> None:
    server = MailServer(data_answers=["451 try later"], recipient_answers=["450 try later"])

    async with server.serving(place.tls), place.outbox(server) as outbox:
        outbox.notify(sample_event())
        mails = [await server.mails.get() for _ in range(2)]

    assert len({mail.message["Message-ID"] for mail in mails}) == 1
    assert server.mails.empty()


async def test_mail_arrives_in_order_and_only_for_the_events_that_are_mailed(place: Place) -> None:
    server = MailServer()

    async with server.serving(place.tls):
        mailed = {"events": ["key_due"], "teams": None}
        async with place.outbox(server, **mailed) as outbox:
            outbox.notify(sample_event(EventType.KEY_DUE, key_id="k1"))
            outbox.notify(sample_event(EventType.ANOMALY, key_id="k2"))
            outbox.notify(sample_event(EventType.KEY_DUE, owner="teams/payments"))
            outbox.notify(sample_event(EventType.KEY_DUE, key_id="k3"))

    mails = [server.mails.get_nowait() for _ in range(server.mails.qsize())]
    assert [mail.message.get_content().splitlines()[3] for mail in mails] == [
        "key: users/alice/keys/k1",
        "key: users/alice/keys/k3",
    ]


async def test_logs_hold_no_password_and_no_address(place: Place, log_lines: StringIO) -> None:
    server = MailServer(
        options=WITH_LOGIN, data_answers=["451 password", f"554 {PASSWORD} alice@example.com"]
    )

    async with server.serving(place.tls), place.outbox(server, **place.login()) as outbox:
        outbox.notify(sample_event())
        for _ in range(2):
            await server.mails.get()

    logged = log_lines.getvalue()
    events = [json.loads(line)["event"] for line in logged.splitlines()]
    assert [event for event in events if event != "library_log"] == [
        "notification",
        "notification_delayed",
        "notification_lost",
    ]
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    for secret in (PASSWORD, encoded, "alice@", "keyturn@", "127.0"):
        assert secret not in logged


def test_a_password_file_that_is_missing_stops_the_start(place: Place) -> None:
    (place.folder / "password").unlink()

    with pytest.raises(SettingsError, match="password: No such file"):
        place.channel(MailServer(port=25), **place.login())
