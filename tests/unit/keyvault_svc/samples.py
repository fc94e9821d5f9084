"""Records, grants and requests to make tests from."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final

from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import KeyVersion, SealedKey, Verification, VerificationOutcome
from keyvault_svc.domain.lease import LeaseRequest
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.usage import Usage, UsageSource
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START

KEY: Final = KeyName.parse("users/alice/keys/openai", "name")
BILLING: Final = SpiffeId.parse("spiffe://example.org/app/billing")
SEARCH: Final = SpiffeId.parse("spiffe://example.org/app/search")
CIPHERTEXT: Final = "vault:v1:canaryciphertext"


def make_terms(
    app: SpiffeId = BILLING,
    *,
    models: tuple[str, ...] = ("*",),
    endpoints: tuple[str, ...] = ("*",),
    source_cidrs: tuple[str, ...] = (),
    expire_time: datetime | None = None,
    limits: Limits | None = None,
) -> GrantTerms:
    """Return terms that allow everything, but for what is given."""
    return GrantTerms(
        app,
        models,
        endpoints,
        tuple(ip_network(cidr) for cidr in source_cidrs),
        expire_time,
        limits=limits or Limits(),
    )


def make_grant(
    number: int = 1,
    terms: GrantTerms | None = None,
    *,
    revoke_time: datetime | None = None,
) -> Grant:
    """Return grant *number*, made an hour before the start of the tests' time."""
    return Grant(
        f"{number:016x}",
        terms or make_terms(),
        START - timedelta(hours=1),
        "alice",
        revoke_time,
        "alice" if revoke_time else "",
    )


def make_version(
    number: int = 1,
    state: KeyState = KeyState.ACTIVE,
    *,
    fingerprint: str = "hmac",
    outcome: VerificationOutcome | None = None,
) -> KeyVersion:
    """Return version *number*, a day old, with *outcome* found an hour ago."""
    tried = None if outcome is None else Verification(outcome, START - timedelta(hours=1))
    sealed = None if state is KeyState.DELETED else SealedKey(ciphertext_of(number), fingerprint)
    return KeyVersion(number, sealed, state, START - timedelta(days=1), tried)


def ciphertext_of(number: int) -> str:
    """Return the ciphertext of version *number*."""
    return CIPHERTEXT if number == 1 else f"vault:v1:canaryciphertext{number}"


def make_record(
    *grants: Grant,
    name: KeyName = KEY,
    fingerprint: str = "hmac",
    state: KeyState = KeyState.ACTIVE,
) -> KeyRecord:
    """Return a record of one version, active or in *state*, that holds *grants*."""
    current = make_version(state=state, fingerprint=fingerprint)
    return KeyRecord(name, "alice", START - timedelta(days=1), current, grants=grants)


def make_request(
    *,
    key: KeyName = KEY,
    app: SpiffeId = BILLING,
    endpoint: str = "chat/completions",
    model: str = "gpt-4o",
    source_ip: str = "10.1.2.3",
    app_token: SecretBytes | None = None,
    output_token_bound: int = 0,
) -> LeaseRequest:
    """Return what a gateway asks for."""
    return LeaseRequest(
        "request-0001",
        key,
        app,
        "POST",
        endpoint,
        model,
        ip_address(source_ip),
        b"\0" * 32,
        100,
        output_token_bound,
        app_token,
    )


RESERVATION = Usage(100, model="gpt-4o", source=UsageSource.RESERVED)
"""What `make_request` is settled at when nobody knows better."""
