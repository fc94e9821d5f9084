"""What an administrator decides about a bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from keyvault_svc.vault.bootstrap.login_options import SERVICES, AppRoleLogins, LoginOptions
from svc_runtime.spiffe_id import SpiffeId

MAX_TOKEN_TTL_SECONDS: Final = 86400
"""Longest life of an ID token. The signing key's verification TTL in `oidc_steps` is this long,
and Vault refuses a role whose tokens would outlive the key that verifies them."""


@dataclass(frozen=True, slots=True)
class BootstrapOptions:
    """The choices of one deployment.

    Attributes:
        policy_dir: Folder of the policy files, `<policy name>.hcl`.
        trust_domain: SPIFFE trust domain of every certificate, such as `keyturn.example.org`.
        issuer: Base URL under which verifiers reach Vault, scheme and host only; ID tokens get
            `<issuer>/v1/identity/oidc` as `iss`. `None` sets up no OIDC issuer.
        audit_file: Path on the server of the audit log. HashiCorp Vault enables the device there;
            for OpenBao it only completes the advice. `None` enables none.
        owner_token_ttl_seconds: Life of an owner's ID token, 1 to `MAX_TOKEN_TTL_SECONDS`.
        app_token_ttl_seconds: Life of an app's token, in the same range.
        certificate_ttl_seconds: Life of a certificate, and the longest that may be asked for.
        dns_names: Per service of `SERVICES`, the DNS names that its certificate may bear besides
            its own name and `localhost`.
        login: How the services and the maintenance job log in.
    """

    policy_dir: Path
    trust_domain: str
    issuer: str | None
    audit_file: str | None
    owner_token_ttl_seconds: int
    app_token_ttl_seconds: int
    certificate_ttl_seconds: int = 86400
    dns_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    login: LoginOptions = field(default_factory=AppRoleLogins)

    def __post_init__(self) -> None:
        """Refuse what Vault would refuse halfway through.

        Raises:
            ValueError: An option is outside its range; the message names it.
        """
        # A trust domain with a slash would parse too, as another domain with a longer path.
        if SpiffeId.parse(f"spiffe://{self.trust_domain}/app").path != "/app":
            raise ValueError("trust_domain must not hold a slash")
        if self.issuer is not None and not _is_base_url(self.issuer):
            raise ValueError("issuer must be a URL of scheme and host only")
        for name, seconds in (
            ("owner_token_ttl_seconds", self.owner_token_ttl_seconds),
            ("app_token_ttl_seconds", self.app_token_ttl_seconds),
        ):
            if not 1 <= seconds <= MAX_TOKEN_TTL_SECONDS:
                raise ValueError(f"{name} must be from 1 to {MAX_TOKEN_TTL_SECONDS}")
        if self.certificate_ttl_seconds < 1:
            raise ValueError("certificate_ttl_seconds must be at least 1")
        if not set(self.dns_names) <= set(SERVICES):
            raise ValueError(f"dns_names may name only {', '.join(SERVICES)}")


def _is_base_url(url: str) -> bool:
    parts = urlsplit(url)
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.netloc)
        and parts.path in {"", "/"}
        and not parts.query
        and not parts.fragment
    )
