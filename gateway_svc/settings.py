"""The gateway's settings."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import SettingsConfigDict

from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.roles import AppIds
from svc_runtime.app_naming import overlap
from svc_runtime.audit_stream.settings import AuditStreamSettings
from svc_runtime.grpc_server import DEFAULT_CONNECTION_SECONDS
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.settings_models import (
    Address,
    AppIssuers,
    ServiceSettings,
    TLSSettings,
    VaultSettings,
)
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.telemetry.settings import TelemetrySettings


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def _may_be_public(host: str | None) -> bool:
    """Tell whether *host* is a name, whose addresses are looked at later, or a public address."""
    try:
        return ip_address(host or "").is_global
    except ValueError:
        return host != "localhost"


_ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]{1,128}$")]
_BaseURL = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]


class KeyServiceSettings(BaseModel):
    """Where the key service is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Annotated[str, Field(min_length=1)]
    """gRPC target: `dns:///keyvault-svc:8443`, `ipv4:10.0.0.1:8443,10.0.0.2:8443`."""
    server_name: str = "keyvault-svc"
    """DNS name that its certificate must have."""


class OpenAISettings(BaseModel):
    """Which OpenAI to call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: _BaseURL = "https://api.openai.com/v1"
    other_base_urls: tuple[_BaseURL, ...] = (
        "https://us.api.openai.com/v1",
        "https://eu.api.openai.com/v1",
    )
    """Where else keys may be used whose owners chose so. A key that names another is refused."""
    ca_file: Path | None = None
    """CA of the server, where it is not a public one."""
    allow_http_on_loopback: bool = False
    """Let `base_url` be http on this machine, for the local stack: keys travel in the clear."""
    allow_private_addresses: bool = False
    """Let the names of hosts lead to addresses that are not public, such as those of a proxy."""
    max_connections: Annotated[int, Field(ge=1, le=10_000)] = 2000
    max_upload_bytes: Annotated[int, Field(ge=1, le=1024**4)] = 1024**3
    """The largest multipart body."""

    @property
    def base_urls(self) -> tuple[str, ...]:
        """All that may be called, the default first."""
        return (self.base_url, *self.other_base_urls)

    @property
    def is_local(self) -> bool:
        """Whether `base_url` is http on this machine."""
        return urlsplit(self.base_url).scheme == "http"

    @model_validator(mode="after")
    def _keys_travel_encrypted(self) -> Self:
        for base_url in self.base_urls:
            url = urlsplit(base_url)
            if url.scheme == "http" and not (
                self.allow_http_on_loopback and _is_loopback(url.hostname)
            ):
                raise ValueError(
                    "base_url must be https; http is for loopback in the local stack only"
                )
            if url.scheme == "https" and not (
                self.allow_private_addresses or _may_be_public(url.hostname)
            ):
                raise ValueError(
                    "base_url must lead to a public address: see allow_private_addresses"
                )
        return self


class VerificationSettings(BaseModel):
    """How keys are tried at OpenAI before they serve."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]{0,128}$")] = "gpt-4o-mini"
    """What to ask for one token, which shows whether the key has quota; empty: models are only
    listed."""
    poll_seconds: Annotated[float, Field(ge=0.05, le=60)] = 1.0
    """How often to ask the key service for verifications."""
    concurrency: Annotated[int, Field(ge=1, le=100)] = 4
    """How many keys to try at the same time."""


class ExtAuthzSettings(BaseModel):
    """The port where Envoys ask for keys, to send apps' calls themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Address
    """Where Envoys ask: mTLS."""
    envoys: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    """Their SPIFFE ids. Each sees the plaintext of every key that it is handed."""
    upstream_base_url: _BaseURL
    """Where their routes lead. A key for another place is refused, and so is a route that does not
    say that it leads there."""
    key_header: Literal["authorization", "x-aigw-api-key"] = "authorization"
    """Header that the key goes into: OpenAI's own, or the one that Envoy AI Gateway reads."""
    takes_text_bodies: bool = False
    """Take JSON bodies as text, too, for an Envoy that cannot be told to send bytes."""

    @model_validator(mode="after")
    def _envoys_are_names(self) -> Self:
        self.envoy_ids()
        return self

    def envoy_ids(self) -> frozenset[SpiffeId]:
        """Return `envoys`, parsed.

        Raises:
            ValueError: One is malformed.
        """
        try:
            return frozenset(map(SpiffeId.parse, self.envoys))
        except ValueError:
            pass
        raise ValueError("envoys: each must be a SPIFFE ID")


class Settings(ServiceSettings):
    """Everything that can be set. Times are in seconds."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_nested_delimiter="__", env_prefix="GATEWAY_SVC_"
    )

    grpc_address: Address
    """Where apps call over gRPC: mTLS."""
    http_address: Address
    """Where apps call over HTTPS: with a client certificate or a token."""
    grpc_token_address: Address | None = None
    """Where apps call over gRPC with a token: TLS, and no client certificate is asked for. Off
    unless it is given."""
    health_address: Address
    """Where probes call: health only, in the clear."""
    app_id_prefix: str
    """SPIFFE ids below this are apps: `spiffe://example.org/app/`."""
    app_issuers: AppIssuers = ()
    """Issuers of apps' tokens."""
    default_keys: dict[str, str] = Field(default_factory=dict)
    """Key that an app's calls use when they name none, by the app's SPIFFE id."""
    tls: TLSSettings
    vault: VaultSettings
    key_service: KeyServiceSettings
    openai: OpenAISettings = OpenAISettings()
    verification: VerificationSettings = VerificationSettings()
    ext_authz: ExtAuthzSettings | None = None
    """A further front, for Envoys; off unless it is given."""
    telemetry: TelemetrySettings = TelemetrySettings()
    audit_stream: AuditStreamSettings = AuditStreamSettings()
    measured_models: Annotated[tuple[_ModelName, ...], Field(max_length=100)] = ()
    """Models that metrics tell apart, beside the well-known ones; all others count as `other`."""
    request_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 900
    """The longest request: for HTTP it is the bound, for gRPC the longest deadline."""
    connection_seconds: Annotated[float, Field(ge=1, le=600)] = DEFAULT_CONNECTION_SECONDS
    """After which a gRPC connection takes no further calls, so that clients find new replicas."""
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 30
    """How long clients may take to leave, and calls to end, when the service stops. It loses no
    call if it is longer than `connection_seconds` by what a call takes."""

    @model_validator(mode="after")
    def _names_are_names(self) -> Self:
        AppIds(self.app_id_prefix)
        for issuer in self.app_issuers:
            scopes = issuer.naming().scopes
            if scopes is not None and not overlap(scopes, [self.app_id_prefix]):
                raise ValueError("app_issuers: an issuer names no app that app_id_prefix covers")
        self.keys_by_app()
        return self

    @model_validator(mode="after")
    def _tokens_have_an_issuer(self) -> Self:
        if self.grpc_token_address is not None and not self.app_issuers:
            raise ValueError("grpc_token_address needs at least one of app_issuers")
        return self

    @model_validator(mode="after")
    def _keys_go_where_they_may(self) -> Self:
        if self.ext_authz is None:
            return self
        if self.ext_authz.upstream_base_url not in self.openai.base_urls:
            raise ValueError(
                "ext_authz.upstream_base_url must be openai.base_url or one of other_base_urls"
            )
        app_ids = AppIds(self.app_id_prefix)
        if any(app_ids.roles_of(envoy) for envoy in self.ext_authz.envoy_ids()):
            raise ValueError("ext_authz.envoys: an app must not be handed keys")
        return self

    def keys_by_app(self) -> dict[SpiffeId, KeyName]:
        """Return `default_keys`, parsed.

        Raises:
            ValueError: An app or a key is malformed.
        """
        try:
            return {
                SpiffeId.parse(app): KeyName.parse(key) for app, key in self.default_keys.items()
            }
        except InvalidFieldError as error:
            problem = f"a key {error.rule}"
        except ValueError:
            problem = "an app must be a SPIFFE ID"
        raise ValueError(f"default_keys: {problem}")
