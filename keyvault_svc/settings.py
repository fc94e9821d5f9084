"""The key service's settings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from keyvault_svc.anomaly_settings import AnomalySettings
from keyvault_svc.bootstrap_settings import BootstrapSettings
from keyvault_svc.consent_settings import CeilingSettings, ConsentSettings
from keyvault_svc.domain.handoff import DEFAULT_LEASE_SECONDS, MAX_LEASE_SECONDS
from keyvault_svc.domain.key_policy import MAX_OVERLAP, KeyPolicy
from keyvault_svc.domain.retention import RetentionPolicy
from keyvault_svc.domain.roles import DEFAULT_TEAM_ADMIN_GROUP, RoleRules
from keyvault_svc.domain.step_up import StepUpPolicy
from keyvault_svc.limit_settings import LimitsSettings
from keyvault_svc.notification_settings import NotificationSettings
from keyvault_svc.reconciliation_settings import ReconciliationSettings
from svc_runtime.audit_stream.settings import AuditStreamSettings
from svc_runtime.grpc_server import DEFAULT_CONNECTION_SECONDS
from svc_runtime.settings_models import (
    Address,
    AppIssuers,
    IssuerSettings,
    ServiceSettings,
    TLSSettings,
    VaultLoginSettings,
    VaultSettings,
)
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.telemetry.settings import TelemetrySettings


def _spiffe_id(raw: str) -> str:
    return str(SpiffeId.parse(raw))


_TEAM_ADMIN_GROUP = r"^[^{}]*\{team\}[^{}]*$"
_Words = tuple[Annotated[str, Field(pattern=r"^[^\s]{1,256}$")], ...]
_Groups = tuple[Annotated[str, Field(min_length=1, max_length=256)], ...]


class StepUpSettings(BaseModel):
    """The login that sensitive actions need.

    They are: to add, rotate or delete a key, to erase an owner, to grant, and to widen a grant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_age_seconds: Annotated[int, Field(ge=60, le=86_400)] = 300
    """How long ago it may have been."""
    amr: _Words = ()
    """Methods (RFC 8176) of which it must have used one, such as `otp` or `hwk`."""
    acr: _Words = ()
    """Levels of the issuer, best first, of which it must have reached one."""

    def policy(self) -> StepUpPolicy:
        """Return them as the rules know them."""
        return StepUpPolicy(timedelta(seconds=self.max_age_seconds), self.amr, self.acr)


class PeopleSettings(IssuerSettings):
    """The issuer of ID tokens for people, and the claims that tell who they are."""

    name_claim: Annotated[str, Field(min_length=1)]
    """The claim that names the owner, `users/<name>`. It must be one that its bearer cannot change:
    at many issuers `preferred_username` and `email` are not."""
    groups_claim: str = "groups"
    auth_time_claim: str = "auth_time"
    """The claim that says when the person logged in, in seconds since 1970."""
    step_up: StepUpSettings | None = None
    """What sensitive actions need. Absent: any valid ID token."""
    team_admin_group: Annotated[str, Field(pattern=_TEAM_ADMIN_GROUP, max_length=256)] = (
        DEFAULT_TEAM_ADMIN_GROUP
    )
    """Name of the group of a team's admins, with `{team}` for the team's id. They decide about the
    team's keys; members read. `{team}` alone makes every member an admin."""
    auditor_groups: _Groups = ()
    """Groups whose members see the records of every owner, and change none."""
    operator_groups: _Groups = ()
    """Groups whose members may suspend, set owners' limits, and export and erase owners."""

    def role_rules(self) -> RoleRules:
        """Return what the groups make of people, as the rules know it."""
        return RoleRules(
            self.team_admin_group,
            frozenset(self.auditor_groups),
            frozenset(self.operator_groups),
            self.step_up.policy() if self.step_up else None,
        )


_BaseURL = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=256)]


class HandoffKind(StrEnum):
    """How leases carry the sealed key."""

    INLINE = "inline"
    WRAPPED = "wrapped"


class KeySettings(BaseModel):
    """What the deployment decides about every key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotate_after_days: Annotated[int, Field(ge=0, le=3650)] = 90
    """Age from which a key is shown as due for rotation; 0 for never."""
    max_age_days: Annotated[int, Field(ge=0, le=3650)] = 0
    """Age at which a key expires unless it is rotated; 0 for never."""
    overlap_seconds: Annotated[int, Field(ge=0, le=int(MAX_OVERLAP.total_seconds()))] = 86_400
    """How long a rotation can be undone, where the owner does not say."""
    refuse_shared: bool = False
    """Refuse a plaintext that another owner has in custody. Otherwise only security is told."""
    handoff: HandoffKind = HandoffKind.INLINE
    """`wrapped`: every lease is wrapped, not only those of keys of high assurance."""
    base_urls: tuple[_BaseURL, ...] = (
        "https://api.openai.com/v1",
        "https://us.api.openai.com/v1",
        "https://eu.api.openai.com/v1",
    )
    """Where at OpenAI an owner may have a key used; the gateways must allow it, too."""

    def policy(self) -> KeyPolicy:
        """Return them as the rules know them."""
        return KeyPolicy(
            rotate_after=_days(self.rotate_after_days),
            max_age=_days(self.max_age_days),
            overlap=timedelta(seconds=self.overlap_seconds),
            are_shared_keys_refused=self.refuse_shared,
            base_urls=frozenset(self.base_urls),
        )


class RetentionSettings(BaseModel):
    """For how many days the deployment keeps what Keyturn cannot erase. 0: not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vault_backup_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    """Snapshots of Vault's storage."""
    vault_audit_log_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    """Vault's audit log."""
    service_log_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    """The logs of both services."""

    def policy(self) -> RetentionPolicy:
        """Return them as the rules know them."""
        return RetentionPolicy(
            _days(self.vault_backup_days),
            _days(self.vault_audit_log_days),
            _days(self.service_log_days),
        )


def _days(days: int) -> timedelta | None:
    return timedelta(days=days) if days else None


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
    settle_within_seconds: Annotated[int, Field(ge=1, le=7200)] = 4200
    """How long a lease may stay unsettled: the gateway's longest WebSocket, and some."""
    require_app_proof: bool = False
    """Refuse requests of apps without their own token, which is checked here: no gateway has to be
    believed then. A grant may ask for it by itself."""
    limits: LimitsSettings
    """Where limits and usage are counted, and the limits of every owner."""
    notifications: NotificationSettings = NotificationSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    audit_stream: AuditStreamSettings = AuditStreamSettings()
    prices_file: Path | None = None
    """What models cost; by default a list that comes along."""
    max_deadline_seconds: Annotated[float, Field(gt=0, le=300)] = 60
    connection_seconds: Annotated[float, Field(ge=1, le=600)] = DEFAULT_CONNECTION_SECONDS
    """After which a gRPC connection takes no further calls, so that clients find new replicas."""
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 30
    """How long clients may take to leave, and calls to end, when the service stops. It loses no
    call if it is longer than `connection_seconds` by what a call takes."""
    keys: KeySettings = KeySettings()
    consent: ConsentSettings = ConsentSettings()
    ceilings: CeilingSettings = CeilingSettings()
    retention: RetentionSettings = RetentionSettings()
    reconciliation: ReconciliationSettings = ReconciliationSettings()
    anomalies: AnomalySettings = AnomalySettings()
    maintenance: VaultLoginSettings | None = None
    """How `keyvault-svc rewrap`, `remind` and `coverage` log in, with an identity of their own: as
    in `vault`."""
    bootstrap: BootstrapSettings | None = None
    bootstrap_login: VaultLoginSettings | None = None
    """How `keyvault-svc bootstrap` logs in where it is given no token, with an identity of its own:
    as in `vault`."""

    def key_policy(self) -> KeyPolicy:
        """Return what holds for every key, as the rules know it."""
        return replace(self.keys.policy(), admin_key=self.reconciliation.admin_key_name())
