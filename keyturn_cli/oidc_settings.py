"""At which OIDC issuer people log in, and as which client the command does so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from keyturn_cli.client_settings import OF_ISSUER, ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.owner_token import DEFAULT_NAME_CLAIM, RefreshToken
from svc_runtime.secret_bytes import SecretBytes

ISSUER_VARIABLE: Final = "KEYTURN_OIDC_ISSUER"
_DEFAULT_SCOPES: Final = "openid profile"
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class OIDCSettings:
    """What a login at an issuer needs to know beforehand.

    Attributes:
        issuer: URL of the issuer, as its tokens say it.
        client_id: The client's name there; ID tokens say it in `aud`.
        client_secret: For an issuer that does without public clients.
        ca_file: CA of the issuer's server, where it is not a public one.
        scopes: Space-separated; `openid` is among them.
        flow: `browser` or `device`; empty to choose by what there is.
        redirect_port: Port on 127.0.0.1 that the issuer may send a browser to; 0 for any.
        name_claim: The claim of the person's name.
    """

    issuer: str
    client_id: str
    client_secret: SecretBytes | None = None
    ca_file: Path | None = None
    scopes: str = _DEFAULT_SCOPES
    flow: str = ""
    redirect_port: int = 0
    name_claim: str = DEFAULT_NAME_CLAIM

    @classmethod
    def load(cls, settings: ClientSettings) -> Self:
        """Read the variables.

        Raises:
            CommandError: One is missing or wrong.
        """
        issuer = settings.require(ISSUER_VARIABLE)
        if not issuer.startswith("https://"):
            raise _wrong(ISSUER_VARIABLE, "must begin with https://")
        flow = settings.get("KEYTURN_OIDC_FLOW") or ""
        if flow not in {"", "browser", "device"}:
            raise _wrong("KEYTURN_OIDC_FLOW", "must be browser or device")
        scopes = (settings.get("KEYTURN_OIDC_SCOPES") or _DEFAULT_SCOPES).split()
        ca_file = settings.get("KEYTURN_OIDC_CA")
        return cls(
            issuer=issuer,
            client_id=settings.require("KEYTURN_OIDC_CLIENT_ID"),
            client_secret=_client_secret(settings),
            ca_file=Path(ca_file) if ca_file else None,
            scopes=" ".join(dict.fromkeys(["openid", *scopes])),
            flow=flow,
            redirect_port=_port(settings.get("KEYTURN_OIDC_REDIRECT_PORT") or "0"),
            name_claim=settings.get("KEYTURN_OIDC_NAME_CLAIM") or DEFAULT_NAME_CLAIM,
        )


def is_of_issuer(refresh: RefreshToken | None, settings: ClientSettings) -> bool:
    """Tell whether there is a *refresh* token, and its issuer and client are those of *settings*.

    Settings change; nobody but its issuer may see a refresh token.
    """
    return (
        refresh is not None
        and refresh.issuer == settings.get(ISSUER_VARIABLE)
        and refresh.client_id == settings.get("KEYTURN_OIDC_CLIENT_ID")
    )


def _client_secret(settings: ClientSettings) -> SecretBytes | None:
    if settings.get("KEYTURN_OIDC_CLIENT_SECRET_FILE") is None:
        return None
    raw = settings.read_file("KEYTURN_OIDC_CLIENT_SECRET_FILE").strip()
    if not raw:
        raise _wrong("KEYTURN_OIDC_CLIENT_SECRET_FILE", "names an empty file")
    return SecretBytes(raw)


def _port(raw: str) -> int:
    if not (raw.isascii() and raw.isdecimal() and int(raw) <= _HIGHEST_PORT):
        raise _wrong("KEYTURN_OIDC_REDIRECT_PORT", f"must be a port, 0 to {_HIGHEST_PORT}")
    return int(raw)


def _wrong(name: str, rule: str) -> CommandError:
    return CommandError(f"{name} {rule}.", ExitCode.USAGE, hint=f"{name}: {OF_ISSUER[name]}.")
