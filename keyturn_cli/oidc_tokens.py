"""From an issuer's token endpoint to a login: the request, its failures, the ID token's proof."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote_plus

import structlog

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.oidc_discovery import IssuerMetadata
from keyturn_cli.oidc_http import OK, IssuerAnswer, IssuerHTTP
from keyturn_cli.oidc_settings import OIDCSettings
from keyturn_cli.owner_token import OwnerToken, RefreshToken, parse_owner_token
from svc_runtime.clock import Clock
from svc_runtime.jwt_verifier import IssuerUnavailableError, JWTIssuer, JWTVerifier
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError

_LEEWAY_SECONDS: Final = 30  # clock skew, as in the verification of tokens
# RFC 6749, section 5.2, whose codes are of this kind; anything else is not repeated.
_ERROR_CODE: Final = re.compile(r"[a-z][a-z_]{0,39}")
_CLIENT_ERRORS: Final = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
)


@dataclass(frozen=True, slots=True)
class LoginSide:
    """The command as a client of one issuer."""

    http: IssuerHTTP
    settings: OIDCSettings
    metadata: IssuerMetadata
    clock: Clock

    async def request(self, url: str, form: Mapping[str, str]) -> IssuerAnswer:
        """Post *form* to *url* as this client, and return the answer, whatever its status.

        Raises:
            CommandError: The issuer cannot be reached.
        """
        secret, client_id = self.settings.client_secret, self.settings.client_id
        if secret is None:
            return await self.http.post(url, {**form, "client_id": client_id})
        if not self.metadata.takes_secret_in_header:
            named = {"client_id": client_id, "client_secret": secret.expose().decode()}
            return await self.http.post(url, {**form, **named})
        # RFC 6749, section 2.3.1: both are encoded before they are joined.
        pair = f"{quote_plus(client_id)}:{quote_plus(secret.expose())}"
        basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return await self.http.post(url, form, {"Authorization": basic})

    async def login_of(
        self, answer: IssuerAnswer, *, nonce: str | None = None, max_age_seconds: int | None = None
    ) -> OwnerToken:
        """Return the login that a token endpoint's *answer* holds.

        1. The answer is a success and holds an ID token.
        2. The token is signed by the issuer, for this client, and current.
        3. It is this client alone that it was issued to.
        4. It answers this very request: the nonce is back.
        5. It tells of a login as fresh as was asked for.

        Raises:
            CommandError: Something of it does not hold.
        """
        if answer.status != OK:  # (1)
            raise token_failure(answer)
        raw = answer.text("id_token")
        if not raw:
            raise _unacceptable("there is none; the scope openid may not be allowed")
        claims = await self._verified(raw)  # (2)
        if (
            isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims
        ):  # (3)
            raise _unacceptable("it is for several clients")
        if claims.get("azp", self.settings.client_id) != self.settings.client_id:
            raise _unacceptable("it was issued to another client")
        if nonce is not None and not _is_same(claims.get("nonce"), nonce):  # (4)
            raise _unacceptable("it answers another login")
        if max_age_seconds is not None:  # (5)
            self._must_be_recent(claims.get("auth_time"), max_age_seconds)
        token = parse_owner_token(raw, "the issuer", self.settings.name_claim)
        return replace(token, refresh=self._refresh_token(answer))

    async def _verified(self, raw: str) -> Mapping[str, Any]:
        issuer = JWTIssuer(
            issuer=self.metadata.issuer,
            audience=self.settings.client_id,
            jwks_url=self.metadata.jwks_url,
            ca_file=self.settings.ca_file,
        )
        verifier = JWTVerifier([issuer], self.clock)
        try:
            with _unlogged():
                return (await verifier.verify(SecretBytes(raw.encode()))).claims
        except CallerUnverifiedError:
            failure = _unacceptable("its signature, issuer, audience or time is wrong")
        except IssuerUnavailableError:
            failure = CommandError(
                "The issuer's keys cannot be had, so its ID token cannot be checked.",
                ExitCode.UNAVAILABLE,
                hint="Nothing was refused; try again.",
            )
        finally:
            await verifier.aclose()
        raise failure

    def _must_be_recent(self, auth_time: object, max_age_seconds: int) -> None:
        age = None
        if isinstance(auth_time, int | float):
            age = self.clock.now().timestamp() - auth_time
        # OpenID Connect Core, 3.1.3.7, step 13. NaN compares as too old.
        if age is None or not age <= max_age_seconds + _LEEWAY_SECONDS:
            raise CommandError(
                "The issuer logged you in without asking again, as this needs.",
                ExitCode.REFUSED,
                hint="Log out at the issuer, then try again; or ask your operator.",
            )

    def _refresh_token(self, answer: IssuerAnswer) -> RefreshToken | None:
        raw = answer.text("refresh_token")
        if not raw:
            return None
        secret = SecretBytes(raw.encode())
        return RefreshToken(secret, self.metadata.issuer, self.settings.client_id)


def token_failure(answer: IssuerAnswer) -> CommandError:
    """Return what *answer*, which is no success, means; only a code of its text is repeated."""
    if answer.is_outage:
        return CommandError(
            f"The issuer cannot serve a login now (HTTP {answer.status}).",
            ExitCode.UNAVAILABLE,
            hint="Nothing was refused; try again.",
        )
    code = error_code(answer.text("error"))
    if code in _CLIENT_ERRORS or not code:
        return CommandError(
            f"The issuer does not take this client (HTTP {answer.status}{code and f', {code}'}).",
            ExitCode.USAGE,
            hint="Check KEYTURN_OIDC_CLIENT_ID, its secret file and KEYTURN_OIDC_SCOPES.",
        )
    return CommandError(f"The issuer refused the login ({code}).", ExitCode.REFUSED)


def error_code(raw: str) -> str:
    """Return *raw* if it can be an error code, else nothing."""
    return raw if _ERROR_CODE.fullmatch(raw) else ""


def _unacceptable(cause: str) -> CommandError:
    return CommandError(
        f"The issuer's ID token is not acceptable: {cause}.",
        ExitCode.REFUSED,
        hint="Tell your operator.",
    )


def _is_same(claim: object, nonce: str) -> bool:
    return isinstance(claim, str) and hmac.compare_digest(claim.encode(), nonce.encode())


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the services' log lines off the terminal: what they say is told in words."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        yield
    finally:
        structlog.configure(**before)
