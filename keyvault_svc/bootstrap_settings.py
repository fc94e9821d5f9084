"""The settings of `keyvault-svc bootstrap`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from svc_runtime.settings_models import HTTPSURL


class LoginKind(StrEnum):
    """How the services and the maintenance job log in to Vault."""

    APPROLE = "approle"
    KUBERNETES = "kubernetes"
    CERTIFICATE = "certificate"
    JWT = "jwt"


class KubernetesLoginsSettings(BaseModel):
    """Logins by the tokens of Kubernetes service accounts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: HTTPSURL
    """The API server, as Vault reaches it."""
    service_accounts: dict[str, str]
    """For each login its account, as `<namespace>/<name>`."""
    audience: Annotated[str, Field(min_length=1)] = "vault"
    """What a token must be meant for."""
    ca_file: Path | None = None
    """CA of the API server. Absent: that of Vault's own pod."""
    is_reviewed_by_vault: bool = False
    """Vault, in the same cluster, reviews tokens as its own service account."""


class CertificateLoginsSettings(BaseModel):
    """Logins by TLS client certificates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca_file: Path
    """CA of the certificates."""
    uri_sans: dict[str, list[str]] = Field(default_factory=dict)
    """SPIFFE ids of each login. Absent: `spiffe://<trust domain>/<login>`."""


class JWTLoginsSettings(BaseModel):
    """Logins by JWTs. One of `discovery_url`, `jwks_url`, `public_keys_file` must be given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    audiences: Annotated[list[str], Field(min_length=1)]
    """A token must be meant for one of them."""
    subjects: dict[str, str]
    """For each login the `sub` of its tokens."""
    issuer: str | None = None
    """The `iss` of the tokens; required without `discovery_url`."""
    discovery_url: HTTPSURL | None = None
    """OIDC issuer, as Vault reaches it."""
    jwks_url: HTTPSURL | None = None
    """Key set, as Vault reaches it."""
    public_keys_file: Path | None = None
    """Public keys, PEM."""
    ca_file: Path | None = None
    """CA of the URL, where it is not a public one."""


class BootstrapSettings(BaseModel):
    """What `keyvault-svc bootstrap` sets up in Vault."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy_dir: Path
    """Folder of the Vault policies: `deploy/vault/policies` of this project."""
    trust_domain: str
    """SPIFFE trust domain of the certificates that Vault's PKI issues."""
    issuer: HTTPSURL | None = None
    """Vault's address, to make its identity engine the issuer of tokens. Absent: it is not."""
    audit_file: str | None = None
    """Where HashiCorp Vault writes its audit log. OpenBao declares it in its configuration file."""
    owner_token_ttl_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600
    app_token_ttl_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600
    certificate_ttl_seconds: Annotated[int, Field(ge=600, le=2_592_000)] = 86_400
    dns_names: dict[str, list[str]] = Field(default_factory=dict)
    """Further DNS names of each service's certificate, by service."""
    login: LoginKind = LoginKind.APPROLE
    """How the services and the maintenance job log in."""
    kubernetes: KubernetesLoginsSettings | None = None
    certificate: CertificateLoginsSettings | None = None
    jwt: JWTLoginsSettings | None = None
