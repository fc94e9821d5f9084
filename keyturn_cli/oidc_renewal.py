"""A login goes on without the person, where its issuer gave a refresh token."""

from __future__ import annotations

import asyncio
from datetime import datetime

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.oidc_settings import is_of_issuer
from keyturn_cli.owner_token import (
    TOKEN_VARIABLE,
    OwnerToken,
    find_stored_login,
    require_owner_token,
)


def require_login(settings: ClientSettings, now: datetime) -> OwnerToken:
    """Return the token to use, renewed if the stored one has expired by *now* and can be.

    Raises:
        CommandError: There is none; or it has expired, and the issuer does not renew it.
    """
    if not settings.environment.get(TOKEN_VARIABLE):
        stored = find_stored_login(settings)
        if stored and stored.is_expired(now) and is_of_issuer(stored.refresh, settings):
            # Only now: HTTP takes longer to import than all the rest of a command.
            from keyturn_cli.oidc_refresh import renew_login  # noqa: PLC0415 - see above

            return asyncio.run(renew_login(stored, settings))
    return require_owner_token(settings, now)
