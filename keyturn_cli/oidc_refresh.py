"""The refresh token of a login: shown to its issuer for a new ID token, or given back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.oidc_login import login_side
from keyturn_cli.oidc_settings import OIDCSettings, is_of_issuer
from keyturn_cli.owner_token import (
    OwnerToken,
    find_stored_login,
    forget_login,
    store_owner_token,
    subject_of,
)

_TIMEOUT_SECONDS: Final = 15.0


async def renew_login(token: OwnerToken, settings: ClientSettings) -> OwnerToken:
    """Renew the stored login *token*, and keep what comes of it.

    Raises:
        CommandError: The issuer refuses, which ends the login; or it cannot be reached.
    """
    try:
        fresh = await renewed_login(token, OIDCSettings.load(settings))
    except CommandError as error:
        if error.exit_code is ExitCode.REFUSED:
            # Another command may have renewed it meanwhile, and spent what this one showed.
            current = find_stored_login(settings)
            if current is not None and current.secret != token.secret:
                return current
            forget_login(settings)
            raise CommandError(
                "Your login has expired, and its issuer does not renew it.",
                ExitCode.REFUSED,
                hint="Run `keyturn login`.",
            ) from error
        raise
    store_owner_token(fresh, settings)
    return fresh


async def renewed_login(token: OwnerToken, settings: OIDCSettings) -> OwnerToken:
    """Return a new token for the person of *token* (OpenID Connect Core, section 12).

    Raises:
        CommandError: The issuer refuses, cannot be reached, or gives somebody else's token.
    """
    if token.refresh is None:
        raise CommandError("The login cannot be renewed.", ExitCode.REFUSED)
    async with login_side(settings, _TIMEOUT_SECONDS) as side:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": token.refresh.secret.expose().decode(),
        }
        fresh = await side.login_of(await side.request(side.metadata.token_url, form))
    if subject_of(fresh) != subject_of(token):
        raise CommandError("The issuer renewed somebody else's login.", ExitCode.REFUSED)
    # An issuer that gives no new one goes on with the old.
    return replace(fresh, refresh=fresh.refresh or token.refresh)


async def end_login(settings: ClientSettings) -> bool:
    """Delete the stored login and have its issuer end it; tell whether there was one.

    It is deleted first: an issuer that is away does not keep anybody logged in here.

    Raises:
        CommandError: It cannot be deleted.
    """
    stored = None
    with suppress(CommandError):  # a damaged one is deleted likewise
        stored = find_stored_login(settings)
    was_there = forget_login(settings)
    if stored is not None and stored.refresh is not None and is_of_issuer(stored.refresh, settings):
        with suppress(CommandError):
            async with login_side(OIDCSettings.load(settings), _TIMEOUT_SECONDS) as side:
                if side.metadata.revocation_url:
                    form = {
                        "token": stored.refresh.secret.expose().decode(),
                        "token_type_hint": "refresh_token",
                    }
                    await side.request(side.metadata.revocation_url, form)
    return was_there
