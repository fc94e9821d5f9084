"""A person proves anew who they are, in the middle of a command or at its beginning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import click

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.key_input import read_password
from keyturn_cli.oidc_login import has_display, log_in_at_issuer
from keyturn_cli.oidc_need import LoginNeed
from keyturn_cli.oidc_settings import ISSUER_VARIABLE, OIDCSettings
from keyturn_cli.owner_token import OwnerToken
from keyturn_cli.people_login import UserpassLogin
from keyturn_cli.vault_http import vault_http
from svc_runtime.secret_bytes import SecretBytes

_TIMEOUT_SECONDS: Final = 30.0


def log_in_again(settings: ClientSettings, token: OwnerToken, need: LoginNeed) -> OwnerToken:
    """Log the person of *token* in anew, as *need* asks, at the terminal or in a browser.

    Raises:
        CommandError: The login was refused, or cannot be had.
    """
    if settings.get(ISSUER_VARIABLE):
        return asyncio.run(
            log_in_at_issuer(
                OIDCSettings.load(settings),
                need,
                timeout_seconds=_TIMEOUT_SECONDS,
                may_open_browser=has_display(settings.environment),
            )
        )
    user = token.unverified_name or ""
    password = read_password(user, from_stdin=False)
    return asyncio.run(
        log_in_with_password(
            settings, user, password, timeout_seconds=_TIMEOUT_SECONDS, ask_code=ask_code
        )
    )


async def log_in_with_password(
    settings: ClientSettings,
    user: str,
    password: SecretBytes,
    *,
    timeout_seconds: float,
    ask_code: Callable[[], SecretBytes] | None = None,
) -> OwnerToken:
    """Log *user* in at Vault, with the code that *ask_code* asks for if it is given.

    Raises:
        CommandError: Vault refused, or cannot be reached.
    """
    async with vault_http(settings, timeout_seconds) as vault:
        return await UserpassLogin(vault, user, password, ask_code).obtain_token()


def ask_code() -> SecretBytes:
    """Ask at the terminal for the code of an authenticator app.

    Raises:
        CommandError: Nothing was typed.
    """
    typed: str = click.prompt(
        "Code of your authenticator app", default="", show_default=False, err=True
    )
    if not (code := typed.replace(" ", "")):
        raise CommandError("The code is empty.", ExitCode.USAGE)
    return SecretBytes(code.encode())
