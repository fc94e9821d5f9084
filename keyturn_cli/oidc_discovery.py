"""What an OIDC issuer says of itself (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.oidc_http import OK, IssuerHTTP

_PATH: Final = "/.well-known/openid-configuration"
_OFFLINE: Final = "offline_access"


@dataclass(frozen=True, slots=True)
class IssuerMetadata:
    """Where the issuer's endpoints are, and what it can do. An endpoint it lacks is empty.

    Attributes:
        sends_issuer: Whether it names itself when it sends the browser back (RFC 9207).
        takes_secret_in_header: Whether a client's secret goes into a header, not into the form.
        gives_refresh_on_request: Whether the scope `offline_access` is there to ask for it.
    """

    issuer: str
    jwks_url: str
    token_url: str
    authorization_url: str = ""
    device_url: str = ""
    revocation_url: str = ""
    sends_issuer: bool = False
    takes_secret_in_header: bool = True
    gives_refresh_on_request: bool = False

    def scopes(self, wanted: str) -> str:
        """Return the scopes to ask for: *wanted*, and the refresh token's if it has one."""
        is_missing = self.gives_refresh_on_request and _OFFLINE not in wanted.split()
        return f"{wanted} {_OFFLINE}" if is_missing else wanted


async def discover(http: IssuerHTTP, issuer: str) -> IssuerMetadata:
    """Ask *issuer* for its metadata.

    Raises:
        CommandError: It cannot be reached, is no OIDC issuer, or calls itself otherwise.
    """
    answer = await http.get(issuer.rstrip("/") + _PATH)
    if answer.is_outage:
        raise CommandError(
            f"The issuer cannot serve a login now (HTTP {answer.status}).",
            ExitCode.UNAVAILABLE,
            hint="Nothing was refused; try again.",
        )
    document = answer.document
    if answer.status != OK or not (answer.text("jwks_uri") and answer.text("token_endpoint")):
        raise CommandError(
            f"KEYTURN_OIDC_ISSUER is not the URL of an OIDC issuer (HTTP {answer.status}).",
            ExitCode.USAGE,
            hint="Ask your operator for it; nothing follows after the issuer's own path.",
        )
    # Section 4.3: or one issuer could have another's tokens sent to itself.
    if answer.text("issuer") != issuer:
        raise CommandError(
            "KEYTURN_OIDC_ISSUER is not how the issuer calls itself; each character counts.",
            ExitCode.USAGE,
            hint="Ask your operator for it.",
        )
    challenges = document.get("code_challenge_methods_supported")
    has_pkce = challenges is None or "S256" in _texts(document, "code_challenge_methods_supported")
    methods = _texts(document, "token_endpoint_auth_methods_supported")
    return IssuerMetadata(
        issuer=issuer,
        jwks_url=answer.text("jwks_uri"),
        token_url=answer.text("token_endpoint"),
        # Without PKCE whoever else is on this machine could take the code.
        authorization_url=answer.text("authorization_endpoint") if has_pkce else "",
        device_url=answer.text("device_authorization_endpoint"),
        revocation_url=answer.text("revocation_endpoint"),
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        takes_secret_in_header=not methods or "client_secret_basic" in methods,
        gives_refresh_on_request=_OFFLINE in _texts(document, "scopes_supported"),
    )


def _texts(document: Mapping[str, Any], name: str) -> list[str]:
    values = document.get(name)
    return [v for v in values if isinstance(v, str)] if isinstance(values, list) else []
