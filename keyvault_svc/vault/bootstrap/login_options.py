"""How the services and the maintenance job log in to Vault; one kind for a deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from svc_runtime.spiffe_id import SpiffeId

SERVICES: Final = ("keyvault-svc", "gateway-svc")
"""The processes with a login and a certificate of their own; each name is also its policy's."""
MAINTENANCE: Final = "keyvault-maintenance"
"""The job that rewraps records; it has a login of its own, and no certificate of Vault's."""
LOGINS: Final = (*SERVICES, MAINTENANCE)
"""Everybody who logs in; each name is also that of its role and of its policy."""


@dataclass(frozen=True, slots=True)
class AppRoleLogins:
    """By a role id and a secret id."""


@dataclass(frozen=True, slots=True)
class KubernetesLogins:
    """By the token of a Kubernetes service account, which Vault has Kubernetes review.

    Attributes:
        host: URL of the API server, as Vault reaches it.
        service_accounts: For each of `LOGINS`, its account as `<namespace>/<name>`.
        audience: What a token must be meant for.
        ca_file: CA of the API server. `None` for the one that Vault's own pod has.
        is_reviewed_by_vault: Whether Vault asks for reviews as its own service account; otherwise
            each token asks for its own, and `ca_file` is needed.
    """

    host: str
    service_accounts: Mapping[str, str]
    audience: str
    ca_file: Path | None
    is_reviewed_by_vault: bool

    def __post_init__(self) -> None:
        """Refuse what would let in nobody, or more than one account for each login.

        Raises:
            ValueError: An option is wrong; the message names it.
        """
        _check_names("service_accounts", self.service_accounts)
        for account in self.service_accounts.values():
            parts = account.split("/")
            if len(parts) != len(("namespace", "name")) or not all(map(_is_literal, parts)):
                raise ValueError("service_accounts must read <namespace>/<name>, without patterns")
        if self.ca_file is None and not self.is_reviewed_by_vault:
            raise ValueError("ca_file is needed, unless Vault reviews tokens as itself")


@dataclass(frozen=True, slots=True)
class CertificateLogins:
    """By a TLS client certificate.

    Attributes:
        ca_file: CA of those certificates.
        uri_sans: The SPIFFE ids that each of `LOGINS` may log in with; those that are left out
            have `spiffe://<trust domain>/<name>`.
    """

    ca_file: Path
    uri_sans: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse ids that are none, or that stand for several.

        Raises:
            ValueError: An option is wrong; the message names it.
        """
        if not set(self.uri_sans) <= set(LOGINS):
            raise ValueError(f"uri_sans may name only {', '.join(LOGINS)}")
        for ids in self.uri_sans.values():
            if not ids:
                raise ValueError("uri_sans must give each login that it names an id")
            for spiffe_id in ids:
                SpiffeId.parse(spiffe_id)  # whose characters leave no room for Vault's patterns


@dataclass(frozen=True, slots=True)
class JWTLogins:
    """By a JWT, whose signature and claims Vault checks.

    Exactly one of `discovery_url`, `jwks_url` and `public_keys_file` says how it is signed.

    Attributes:
        audiences: A token must be meant for one of them.
        subjects: For each of `LOGINS`, the `sub` of its tokens.
        issuer: Their `iss`; needed unless `discovery_url` says it.
        discovery_url: OIDC issuer whose discovery document names its keys.
        jwks_url: Where a key set is.
        public_keys_file: Public keys, PEM.
        ca_file: CA of the URL's server, where it is not a public one.
    """

    audiences: Sequence[str]
    subjects: Mapping[str, str]
    issuer: str | None = None
    discovery_url: str | None = None
    jwks_url: str | None = None
    public_keys_file: Path | None = None
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what would let in nobody, or anybody that the issuer knows.

        Raises:
            ValueError: An option is wrong; the message names it.
        """
        _check_names("subjects", self.subjects)
        if len(set(self.subjects.values())) < len(LOGINS) or not all(self.subjects.values()):
            raise ValueError("subjects must differ: one subject would have two logins")
        if not self.audiences or not all(self.audiences):
            raise ValueError("audiences must name at least one")
        sources = [self.discovery_url, self.jwks_url, self.public_keys_file]
        if sum(source is not None for source in sources) != 1:
            raise ValueError("give one of discovery_url, jwks_url and public_keys_file")
        if self.discovery_url is None and not self.issuer:
            raise ValueError("issuer is needed without discovery_url")


LoginOptions: TypeAlias = AppRoleLogins | KubernetesLogins | CertificateLogins | JWTLogins


def _check_names(option: str, by_name: Mapping[str, object]) -> None:
    if set(by_name) != set(LOGINS):
        raise ValueError(f"{option} must name each of {', '.join(LOGINS)}, and nobody else")


def _is_literal(name: str) -> bool:
    # Vault takes `*` for any, and other wildcards in part; no name in Kubernetes holds them.
    return bool(name) and all(char.isascii() and (char.isalnum() or char in "-.") for char in name)
