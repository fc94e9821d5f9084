"""Login at an OIDC issuer, by the way that suits the machine."""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import click

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.oidc_browser import BrowserLogin
from keyturn_cli.oidc_device import DeviceCode, DeviceLogin
from keyturn_cli.oidc_discovery import IssuerMetadata, discover
from keyturn_cli.oidc_http import issuer_http
from keyturn_cli.oidc_need import LoginNeed
from keyturn_cli.oidc_settings import OIDCSettings
from keyturn_cli.oidc_tokens import LoginSide
from keyturn_cli.owner_token import OwnerToken
from keyturn_cli.people_login import LoginMethod
from keyturn_cli.printing import one_line
from svc_runtime.clock import SystemClock

_DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY")


@asynccontextmanager
async def login_side(settings: OIDCSettings, timeout_seconds: float) -> AsyncIterator[LoginSide]:
    """Get to know the issuer of *settings*; each call may take *timeout_seconds*.

    Raises:
        CommandError: It cannot be reached, or is no OIDC issuer.
    """
    async with issuer_http(settings.ca_file, timeout_seconds) as http:
        metadata = await discover(http, settings.issuer)
        yield LoginSide(http, settings, metadata, SystemClock())


async def log_in_at_issuer(
    settings: OIDCSettings,
    need: LoginNeed,
    *,
    timeout_seconds: float,
    may_open_browser: bool,
) -> OwnerToken:
    """Log the person in as *need* asks, by the flow of *settings*, and return the ID token.

    Raises:
        CommandError: The login was refused, took too long, or cannot be had.
    """
    async with login_side(settings, timeout_seconds) as side:
        method: LoginMethod
        if chosen_flow(side.metadata, settings.flow, may_open_browser=may_open_browser) == "device":
            method = DeviceLogin(side, show_device_code, need)
        else:
            opener = _open_browser if may_open_browser else _print_url
            method = BrowserLogin(side, opener, need)
        return await method.obtain_token()


def chosen_flow(metadata: IssuerMetadata, wanted: str, *, may_open_browser: bool) -> str:
    """Return `browser` or `device`: what is *wanted*, else what suits issuer and machine.

    Raises:
        CommandError: The issuer has not what is wanted, or neither.
    """
    urls = {"browser": metadata.authorization_url, "device": metadata.device_url}
    if not wanted:
        order = ("browser", "device") if may_open_browser else ("device", "browser")
        wanted = next((flow for flow in order if urls[flow]), "")
    if not urls.get(wanted):
        raise CommandError(
            f"The issuer has no login by {wanted or 'browser or device'}.",
            ExitCode.USAGE,
            hint="The other one may do: --browser, --device." if wanted else "Ask your operator.",
        )
    return wanted


def has_display(environment: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Tell whether a browser that this process opens would show up before the person."""
    if environment.get("SSH_CONNECTION"):
        return False
    return platform in {"darwin", "win32"} or any(environment.get(name) for name in _DISPLAYS)


def show_device_code(code: DeviceCode) -> None:
    """Tell the person what to type, and where."""
    click.echo("On any device, open this address:", err=True)
    click.echo(f"  {one_line(code.verification_uri)}", err=True)
    click.echo(f"and type this code:\n  {one_line(code.user_code)}", err=True)
    if code.complete_uri:
        click.echo(f"This address has the code in it:\n  {one_line(code.complete_uri)}", err=True)
    click.echo("Waiting for the login to be done there.", err=True)


async def _print_url(url: str) -> None:
    click.echo("Open this address in a browser on this machine:", err=True)
    click.echo(f"  {one_line(url)}", err=True)


async def _open_browser(url: str) -> None:
    click.echo("The login goes on in your browser. If none opens, open this address:", err=True)
    click.echo(f"  {one_line(url)}", err=True)
    await asyncio.to_thread(webbrowser.open, url)
