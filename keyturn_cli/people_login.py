"""How a person becomes an ID token. Each way is one `LoginMethod`; today there is one.

A way that needs no password, such as OIDC's device code, joins by another class here and an option
of the command `login`; what happens with the token stays the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.owner_token import OwnerToken, parse_owner_token
from keyturn_cli.vault_http import VaultAnswer
from svc_runtime.secret_bytes import SecretBytes

PEOPLE_MOUNT: Final = "keyturn-people"
OWNER_TOKEN_ROLE: Final = "keyturn-owner"  # noqa: S105 - a role's name, not a token

# It becomes part of a URL, so: no separator, no percent sign, no dot segment.
_USER: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_OK: Final = 200
_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429
_REFUSALS: Final = frozenset({400, 401, 403})


class VaultCaller(Protocol):
    """Vault's HTTP API, as `vault_http.VaultHTTP` offers it."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, str] | None = None,
        token: SecretBytes | None = None,
    ) -> VaultAnswer:
        """Call *path* and return the answer, whatever its status."""


class LoginMethod(Protocol):
    """One way to log in."""

    async def obtain_token(self) -> OwnerToken:
        """Log the person in and return the ID token.

        Raises:
            CommandError: The person was refused, or the issuer cannot be reached.
        """


class UserpassLogin:
    """Login by user name and password at Vault, whose identity engine then signs the ID token."""

    def __init__(self, vault: VaultCaller, user: str, password: SecretBytes) -> None:
        """Log in as *user*.

        Raises:
            CommandError: *user* cannot be a user name.
        """
        check_user(user)
        self._vault = vault
        self._user = user
        self._password = password

    async def obtain_token(self) -> OwnerToken:
        """Log in, read the ID token, and give Vault's own token back.

        1. Log in with the password.
        2. Read an ID token with the Vault token of the login.
        3. Revoke the Vault token, also when (2) failed: nothing else needs it.
        """
        vault_token = await self._log_in()  # (1)
        try:
            answer = await self._vault.call(  # (2)
                "GET", f"identity/oidc/token/{OWNER_TOKEN_ROLE}", token=vault_token
            )
        finally:
            await self._give_back(vault_token)  # (3)
        raw = _data(answer).get("token")
        if answer.status != _OK or not isinstance(raw, str):
            raise _failure(
                answer, "Vault did not issue an ID token for you.", "Ask your operator for access."
            )
        return parse_owner_token(raw, "Vault")

    async def _log_in(self) -> SecretBytes:
        answer = await self._vault.call(
            "POST",
            f"auth/{PEOPLE_MOUNT}/login/{self._user}",
            body={"password": self._password.expose().decode(errors="replace")},
        )
        auth = answer.document.get("auth")
        token = auth.get("client_token") if isinstance(auth, dict) else None
        if answer.status == _OK and isinstance(token, str) and token:
            return SecretBytes(token.encode())
        if answer.status == _OK:
            raise CommandError(
                "Vault asks for a second factor, which this login cannot give.", ExitCode.REFUSED
            )
        raise _failure(answer, "User name or password is wrong.", "Try again.")

    async def _give_back(self, vault_token: SecretBytes) -> None:
        # If Vault has gone away meanwhile, its token ends by itself within minutes.
        with suppress(CommandError):
            await self._vault.call("POST", "auth/token/revoke-self", token=vault_token)


def check_user(user: str) -> None:
    """Check that *user* can be a user name.

    Raises:
        CommandError: It cannot.
    """
    if not _USER.fullmatch(user):
        raise CommandError(
            "--user: must be 1 to 63 letters, digits, '-', '_' and '.', and start and end with a "
            "letter or digit",
            ExitCode.USAGE,
        )


def _data(answer: VaultAnswer) -> Mapping[str, Any]:
    data = answer.document.get("data")
    return data if isinstance(data, dict) else {}


def _failure(answer: VaultAnswer, refusal: str, hint: str) -> CommandError:
    """Return what *answer*, which is no success, means; Vault's own text may hold anything."""
    if answer.status in _REFUSALS:
        return CommandError(refusal, ExitCode.REFUSED, hint=hint)
    if answer.status >= _SERVER_ERROR or answer.status == _TOO_MANY:
        return CommandError(
            f"Vault cannot serve a login now (HTTP {answer.status}). Nothing was refused.",
            ExitCode.UNAVAILABLE,
            hint="Try again; `keyturn doctor` tells whether Vault is sealed.",
        )
    return CommandError(
        f"Vault does not know this kind of login (HTTP {answer.status}).",
        ExitCode.USAGE,
        hint="Check VAULT_ADDR; `keyvault-svc bootstrap` sets the login up.",
    )
