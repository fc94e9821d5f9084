"""Who is told of events: a receiver of webhooks over HTTPS and a mail server, on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import ssl
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks.webhooks import Webhook

from keyturn_cli.local.free_ports import free_ports
from tests.aiohttp_sites import end
from tests.certs import Authority

ALL, LATE, HANGING = "webhooks[0]", "webhooks[1]", "webhooks[2]"
"""What the key service's log calls the receivers of webhooks."""
_HOST = "127.0.0.1"
_HANGING_PATH = "/hanging"
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Told:
    """An event as a receiver of webhooks got it; its signature was right."""

    event_id: str
    content: dict[str, Any]

    @property
    def type(self) -> str:
        """The event's type."""
        return str(self.content["type"])

    @property
    def data(self) -> dict[str, Any]:
        """What is told."""
        return dict(self.content["data"])

    @property
    def facts(self) -> dict[str, str]:
        """The facts."""
        return dict(self.data["facts"])


class EventReceivers:
    """Runs in a thread of its own, for as long as the stack that tells it.

    There are three receivers of webhooks. The first gets every event, and takes it. The second gets
    suspensions, and is away until `start_late`. The third gets first uses, and never answers.

    Attributes:
        told: What the first one took.
        told_late: What the second one took.
        hanging: What the third one got.
        mails: What the mail server took.
        refused_type: Events of this type the first one refuses.
    """

    def __init__(self, folder: Path) -> None:
        self.told: list[Told] = []
        self.told_late: list[Told] = []
        self.hanging: list[Told] = []
        self.mails: list[EmailMessage] = []
        self.refused_type = ""
        self._port, self._late_port, self._mail_port = free_ports(3)
        self._secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        authority = Authority()
        pair = authority.server()
        self._files = {name: folder / name for name in ("ca.pem", "server.pem", "secret")}
        self._files["ca.pem"].write_bytes(authority.pem)
        self._files["server.pem"].write_bytes(pair.certificate + pair.key)
        self._files["secret"].write_text(self._secret + "\n")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._serving = AsyncExitStack()
        self._is_over = asyncio.Event()

    @property
    def settings(self) -> str:
        """The key service's settings that name the receivers, TOML."""
        ca_file = f'ca_file = "{self._files["ca.pem"]}"'
        webhook = f'secret_files = ["{self._files["secret"]}"]\n{ca_file}\n'
        return f"""
[notifications]
drain_seconds = 0.5

[[notifications.webhooks]]
url = "https://{_HOST}:{self._port}/hook"
{webhook}
[[notifications.webhooks]]
url = "https://{_HOST}:{self._late_port}/hook"
events = ["suspended"]
{webhook}
[[notifications.webhooks]]
url = "https://{_HOST}:{self._port}{_HANGING_PATH}"
events = ["grant_first_used"]
timeout_seconds = 30
{webhook}
[notifications.mail]
host = "{_HOST}"
port = {self._mail_port}
sender = "keyturn@example.com"
users = "{{id}}@example.com"
{ca_file}
"""

    def start_late(self) -> None:
        """Let the second receiver listen."""
        self._do(self._serve_webhooks(self._late_port))

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._serve_webhooks(self._port))
        self._do(self._serve_mail())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)
        self._loop.close()

    # The name that aiosmtpd looks for.
    async def handle_DATA(  # noqa: N802 - see above
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        Webhook(self._secret).verify(body, headers)
        told = Told(headers["webhook-id"], json.loads(body))
        if request.path == _HANGING_PATH:
            self.hanging.append(told)
            await self._is_over.wait()
        if told.type == self.refused_type:
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        is_late = request.url.port == self._late_port
        (self.told_late if is_late else self.told).append(told)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _serve_webhooks(self, port: int) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        self._serving.push_async_callback(end, runner)
        await web.TCPSite(runner, _HOST, port, ssl_context=self._tls()).start()

    async def _serve_mail(self) -> None:
        def connect() -> SMTP:
            return SMTP(self, hostname="localhost", tls_context=self._tls(), require_starttls=True)

        server = await asyncio.get_running_loop().create_server(connect, _HOST, self._mail_port)
        self._serving.callback(server.close)

    async def _stop(self) -> None:
        self._is_over.set()
        await self._serving.aclose()

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._files["server.pem"])
        return context

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(_STOP_SECONDS)
