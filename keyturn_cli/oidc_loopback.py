"""Where a browser comes back to after a login: a loopback port, for one answer (RFC 8252)."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode

_PATH: Final = "/callback"
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Keyturn</title>
<p>{text} You may close this window and go back to the terminal.</p></html>
"""
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "Referrer-Policy": "no-referrer",  # the address holds the code
}


class LoopbackListener:
    """Waits for the one answer that bears the right state.

    Attributes:
        redirect_uri: Where the issuer is to send the browser.
    """

    def __init__(self, state: str) -> None:
        """Wait for *state*; anything else is told so and otherwise ignored."""
        self.redirect_uri = ""
        self._state = state
        self._answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()

    async def answer(self, timeout_seconds: float) -> Mapping[str, str]:
        """Return the parameters that the browser brought.

        Raises:
            CommandError: It did not come in time.
        """
        try:
            return await asyncio.wait_for(self._answer, timeout_seconds)
        except TimeoutError:
            failure = CommandError(
                "The browser did not come back from the login in time.",
                ExitCode.REFUSED,
                hint="Try again; on a machine without a browser: `keyturn login --device`.",
            )
        raise failure

    async def handle(self, request: web.Request) -> web.Response:
        """Take the browser's answer."""
        parameters = {name: request.query.get(name, "") for name in request.query}
        is_repeated = len(parameters) != len(request.query)
        is_ours = hmac.compare_digest(parameters.get("state", "").encode(), self._state.encode())
        if is_repeated or not is_ours or self._answer.done():
            return _page(400, "This is not the answer that Keyturn waits for.")
        self._answer.set_result(parameters)
        if "code" in parameters:
            return _page(200, "The login is done.")
        return _page(400, "The login was refused.")


@asynccontextmanager
async def loopback_listener(state: str, port: int) -> AsyncIterator[LoopbackListener]:
    """Listen on *port* of 127.0.0.1, or a free one for 0, for an answer that bears *state*.

    Raises:
        CommandError: The port is taken.
    """
    listener = LoopbackListener(state)
    app = web.Application()
    app.router.add_get(_PATH, listener.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise CommandError(
                f"Port {port} of 127.0.0.1, to which the browser would come back, is taken.",
                ExitCode.USAGE,
                hint="Unset KEYTURN_OIDC_REDIRECT_PORT if your issuer allows any port.",
            ) from error
        listener.redirect_uri = f"http://127.0.0.1:{runner.addresses[0][1]}{_PATH}"
        yield listener
    finally:
        await runner.cleanup()


def _page(status: int, text: str) -> web.Response:
    return web.Response(
        status=status, text=_PAGE.format(text=text), content_type="text/html", headers=_HEADERS
    )
