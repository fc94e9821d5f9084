"""A receiver of webhooks on loopback, and the files by which the key service reaches it."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from keyvault_svc.notification_settings import NotificationSettings, WebhookSettings
from keyvault_svc.notifications.channels import open_channels
from keyvault_svc.notifications.outbox import Outbox
from keyvault_svc.notifications.retry_schedule import RetrySchedule
from keyvault_svc.notifications.webhooks import WebhookChannel
from svc_runtime.clock import SystemClock
from tests.aiohttp_sites import end
from tests.certs import Authority, Pair

OLD_SECRET = "whsec_" + base64.b64encode(b"the old secret of the receiver").decode()
NEW_SECRET = "whsec_" + base64.b64encode(b"the new secret of the receiver").decode()
QUICK = RetrySchedule(first_seconds=0.01, max_seconds=0.02, max_retry_after_seconds=0.02)
ENOUGH_SECONDS = 30.0


@dataclass
class Delivered:
    """A request as the receiver got it."""

    body: bytes
    headers: dict[str, str]

    @property
    def key(self) -> str:
        return str(json.loads(self.body)["data"]["key"])


@dataclass
class Receiver:
    """Answers *statuses* in turn, then 204; on one of None it does not answer."""

    statuses: Iterable[int | None] = ()
    answer_headers: dict[str, str] = field(default_factory=dict)
    requests: asyncio.Queue[Delivered] = field(default_factory=asyncio.Queue)
    url: str = ""

    def __post_init__(self) -> None:
        self._statuses = iter(self.statuses)
        self._is_over = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.put_nowait(Delivered(await request.read(), headers))
        status = next(self._statuses, 204)
        if status is None:
            await self._is_over.wait()
        return web.Response(status=status or 500, headers=self.answer_headers)

    @asynccontextmanager
    async def serving(self, pair: Pair, folder: Path, port: int = 0) -> AsyncIterator[None]:
        file = folder / "receiver.pem"
        file.write_bytes(pair.certificate + pair.key)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(file)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        self.url = f"https://127.0.0.1:{runner.addresses[0][1]}/hook-path-4711"
        try:
            yield
        finally:
            self._is_over.set()
            await end(runner)


@dataclass
class Place:
    """A CA, and the files of the key service."""

    folder: Path
    authority: Authority = field(default_factory=Authority)

    def __post_init__(self) -> None:
        self.ca_file.write_bytes(self.authority.pem)
        self.write_secret("old", OLD_SECRET)
        self.write_secret("new", NEW_SECRET)

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def write_secret(self, name: str, secret: str) -> None:
        (self.folder / name).write_text(secret + "\n")

    def settings(self, url: str, *secrets: str, **options: object) -> WebhookSettings:
        files = [self.folder / name for name in secrets or ("old",)]
        given = {"url": url, "secret_files": files, "ca_file": self.ca_file, **options}
        return WebhookSettings.model_validate(given)

    @asynccontextmanager
    async def serving(self, receiver: Receiver) -> AsyncIterator[None]:
        async with receiver.serving(self.authority.server(), self.folder):
            yield

    @asynccontextmanager
    async def channel(
        self, url: str, *secrets: str, **options: object
    ) -> AsyncIterator[WebhookChannel]:
        channel = WebhookChannel("hook", self.settings(url, *secrets, **options), SystemClock())
        try:
            yield channel
        finally:
            await channel.aclose()

    @asynccontextmanager
    async def outbox(self, *receivers: Receiver | WebhookSettings) -> AsyncIterator[Outbox]:
        webhooks = tuple(
            self.settings(receiver.url, "old", "new")
            if isinstance(receiver, Receiver)
            else receiver
            for receiver in receivers
        )
        clock = SystemClock()
        channels = open_channels(NotificationSettings(webhooks=webhooks), clock)
        outbox = Outbox(channels, clock, QUICK)
        outbox.start()
        try:
            yield outbox
        finally:
            await outbox.stop(ENOUGH_SECONDS)
