"""The key service's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from keyvault_svc.domain.leasing import DEFAULT_LEASE_SECONDS, MAX_LEASE_SECONDS
from svc_runtime.settings_models import (
    HTTPSURL,
    Address,
    AppIssuers,
    IssuerSettings,
    ServiceSettings,
    TLSSettings,
    VaultSettings,
)
from svc_runtime.spiffe_id import SpiffeId


def _spiffe_id(raw: str) -> str:
    return str(SpiffeId.parse(raw))


class PeopleSettings(IssuerSettings):
    """The issuer of ID tokens for people, and the claims that tell who they are."""

    name_claim: Annotated[str, Field(min_length=1)]
    """The claim that names the owner, `users/<name>`. It must be one that its bearer cannot change:
    at many issuers `preferred_username` and `email` are not."""
    groups_claim: str = "groups"


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


class Settings(ServiceSettings):
    """Everything that can be set. Times are in seconds."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_nested_delimiter="__", env_prefix="KEYVAULT_SVC_"
    )

    owner_address: Address
    """Where owners call: TLS and an ID token."""
    gateway_address: Address
    """Where gateways call: mTLS."""
    health_address: Address
    """Where probes call: health only, in the clear."""
    gateways: Annotated[tuple[Annotated[str, AfterValidator(_spiffe_id)], ...], Field(min_length=1)]
    """SPIFFE ids of the gateways that may lease keys."""
    tls: TLSSettings
    vault: VaultSettings
    people: PeopleSettings
    app_issuers: AppIssuers = ()
    """Issuers of apps' own tokens, which gateways pass on as proof."""
    lease_seconds: Annotated[int, Field(ge=1, le=MAX_LEASE_SECONDS)] = DEFAULT_LEASE_SECONDS
    settle_within_seconds: Annotated[int, Field(ge=1, le=7200)] = 960
    """How long a lease may stay unsettled: the gateway's longest request, and a minute."""
    max_deadline_seconds: Annotated[float, Field(gt=0, le=300)] = 60
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 10
    """How long calls in flight may take to end when the service stops."""
    bootstrap: BootstrapSettings | None = None
