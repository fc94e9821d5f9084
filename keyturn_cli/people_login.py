"""How a person becomes an ID token. Each way is one `LoginMethod`.

Here is the way of the embedded default, by password at Vault; `oidc_browser` and `oidc_device` hold
those of other issuers. What happens with the token is the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.owner_token import OwnerToken, parse_owner_token
from keyturn_cli.vault_http import VaultAnswer
from svc_runtime.secret_bytes import SecretBytes

PEOPLE_MOUNT: Final = "keyturn-people"
OWNER_TOKEN_ROLE: Final = "keyturn-owner"  # noqa: S105 - a role's name, not a token
SECOND_FACTOR_MOUNT: Final = "keyturn-people-mfa"
SECOND_FACTOR_TOKEN_ROLE: Final = "keyturn-owner-mfa"  # noqa: S105 - a role's name, not a token

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
        body: Mapping[str, object] | None = None,
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

    def __init__(
        self,
        vault: VaultCaller,
        user: str,
        password: SecretBytes,
        ask_code: Callable[[], SecretBytes] | None = None,
    ) -> None:
        """Log in as *user*.

        Args:
            vault: Where.
            user: Name of the person.
            password: The first factor.
            ask_code: Asks for the second one, once the password has proved right; by default the
                login is one without.

        Raises:
            CommandError: *user* cannot be a user name.
        """
        check_user(user)
        self._vault = vault
        self._user = user
        self._password = password
        self._ask_code = ask_code
        self._mount = PEOPLE_MOUNT if ask_code is None else SECOND_FACTOR_MOUNT
        self._role = OWNER_TOKEN_ROLE if ask_code is None else SECOND_FACTOR_TOKEN_ROLE

    async def obtain_token(self) -> OwnerToken:
        """Log in, read the ID token, and give Vault's own token back.

        1. Log in with the password, and with a code where that is asked for.
        2. Read an ID token with the Vault token of the login.
        3. Revoke the Vault token, also when (2) failed: nothing else needs it.
        """
        vault_token = await self._log_in()  # (1)
        try:
            answer = await self._vault.call(  # (2)
                "GET", f"identity/oidc/token/{self._role}", token=vault_token
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
            f"auth/{self._mount}/login/{self._user}",
            body={"password": self._password.expose().decode(errors="replace")},
        )
        auth = answer.document.get("auth")
        requirement = auth.get("mfa_requirement") if isinstance(auth, dict) else None
        if answer.status == _OK and self._ask_code is not None:
            return await self._validate(requirement, self._ask_code)
        if answer.status == _OK and (token := _client_token(answer)):
            return token
        if answer.status == _OK:
            raise CommandError(
                "Vault asks for a second factor, which this login cannot give.", ExitCode.REFUSED
            )
        raise _failure(answer, "User name or password is wrong.", "Try again.")

    async def _validate(
        self, requirement: object, ask_code: Callable[[], SecretBytes]
    ) -> SecretBytes:
        """Show Vault the code that it requires, and return its token."""
        request_id, method_id = _totp_of(requirement)
        payload = {method_id: [ask_code().expose().decode(errors="replace")]}
        body = {"mfa_request_id": request_id, "mfa_payload": payload}
        answer = await self._vault.call("POST", "sys/mfa/validate", body=body)
        if answer.status == _OK and (token := _client_token(answer)):
            return token
        raise _failure(
            answer,
            "The code is wrong or was used before, or you are not enrolled.",
            "Wait for the next code and try again; your operator enrols you.",
        )

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


def _client_token(answer: VaultAnswer) -> SecretBytes | None:
    auth = answer.document.get("auth")
    token = auth.get("client_token") if isinstance(auth, dict) else None
    return SecretBytes(token.encode()) if isinstance(token, str) and token else None


def _totp_of(requirement: object) -> tuple[str, str]:
    """Return the ids of the request and of the one TOTP method that *requirement* names.

    Raises:
        CommandError: It names none: what would pass for a second factor would be none.
    """
    try:
        constraints = requirement["mfa_constraints"].values()  # type: ignore[index]  # JSON
        [method] = [method for constraint in constraints for method in constraint["any"]]
        return str(requirement["mfa_request_id"]), str(method["id"])  # type: ignore[index]  # JSON
    except (TypeError, KeyError, ValueError, AttributeError):
        pass
    raise CommandError(
        "Vault does not ask for a code here, so there is no second factor to prove.",
        ExitCode.REFUSED,
        hint="Tell your operator: the login enforcement of Vault is missing.",
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
