"""Events as signed webhooks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp

from keyvault_svc.domain.events import Event
from keyvault_svc.notification_settings import WebhookSettings
from keyvault_svc.notifications.channel import Attempt, Verdict
from keyvault_svc.notifications.secret_files import read_webhook_secret
from keyvault_svc.notifications.trust import tls_context
from keyvault_svc.notifications.webhook_signature import signature_headers
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.settings_models import SettingsError

_USER_AGENT: Final = "keyturn-notifications"
_SERVER_ERROR: Final = 500
_MAX_SECONDS_DIGITS: Final = 9  # more is no delay that anybody means


class WebhookChannel:
    """Posts events to one URL. Redirects are not followed: the URL is what the operator chose."""

    def __init__(self, name: str, settings: WebhookSettings, clock: Clock) -> None:
        """Check what can be checked before the first event.

        Raises:
            SettingsError: A secret or the CA cannot be used.
        """
        self._name = name
        self._settings = settings
        self._clock = clock
        self._tls = tls_context(settings.ca_file)
        self._session: aiohttp.ClientSession | None = None
        _secrets(settings.secret_files)

    @property
    def name(self) -> str:
        """How logs call it."""
        return self._name

    def wants(self, event: Event) -> bool:
        """Tell whether the settings name the event's type and its owner."""
        events, owners = self._settings.events, self._settings.owners
        return (not events or event.type in events) and (not owners or str(event.owner) in owners)

    async def deliver(self, event: Event) -> Attempt:
        """Post *event* once; success is any 2xx."""
        try:
            secrets = await asyncio.to_thread(_secrets, self._settings.secret_files)
        except SettingsError:
            return Attempt(Verdict.RETRY, "secret_unreadable")
        body = webhook_body(event)
        timestamp = int(self._clock.now().timestamp())
        headers = signature_headers(secrets, event.event_id, timestamp, body)
        headers["content-type"] = "application/json"
        try:
            async with self._open_session().post(
                self._settings.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return _judged(response.status, response.headers, self._clock.now())
        except TimeoutError:
            return Attempt(Verdict.RETRY, "timed_out")
        except aiohttp.ClientSSLError:
            return Attempt(Verdict.RETRY, "tls_failed")
        except (aiohttp.ClientError, OSError):
            return Attempt(Verdict.RETRY, "unreachable")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls),
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": _USER_AGENT},
            )
        return self._session


def webhook_body(event: Event) -> bytes:
    """Return *event* as receivers get it: the same bytes in each repetition."""
    content = {
        "type": event.type.value,
        "timestamp": event.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": {
            "id": event.event_id,
            "owner": str(event.owner),
            "key": event.key,
            "grant": event.grant,
            "app": event.app,
            "facts": event.told_facts(),
            "title": event.title,
            "text": event.sentence,
        },
    }
    return json.dumps(content, separators=(",", ":")).encode()


def retry_after_seconds(header: str, now: datetime) -> float:
    """Return what a `Retry-After` header asks for (RFC 9110, 10.2.3); 0 if it is none."""
    if header.isascii() and header.isdigit():
        return float(header) if len(header) <= _MAX_SECONDS_DIGITS else 0.0
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a time zone
        return 0.0


def _judged(status: int, headers: Mapping[str, str], now: datetime) -> Attempt:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Attempt(Verdict.DELIVERED, status=status)
    if status == HTTPStatus.GONE:
        return Attempt(Verdict.GONE, "receiver_gone", status)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= _SERVER_ERROR:
        asked = retry_after_seconds(headers.get("retry-after", ""), now)
        return Attempt(Verdict.RETRY, "receiver_failed", status, asked)
    return Attempt(Verdict.REFUSED, "receiver_refused", status)


def _secrets(files: Sequence[Path]) -> list[SecretBytes]:
    return [read_webhook_secret(file) for file in files]
