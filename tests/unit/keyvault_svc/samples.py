"""Records, grants and requests to make tests from."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final

from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.key_record import KeyRecord, KeyState, SealedKey
from keyvault_svc.domain.lease import LeaseRequest
from keyvault_svc.domain.names import KeyName
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
) -> GrantTerms:
    """Return terms that allow everything, but for what is given."""
    return GrantTerms(
        app, models, endpoints, tuple(ip_network(cidr) for cidr in source_cidrs), expire_time
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


def make_record(*grants: Grant, name: KeyName = KEY, fingerprint: str = "hmac") -> KeyRecord:
    """Return an active record that holds *grants*."""
    return KeyRecord(
        name,
        KeyState.ACTIVE,
        SealedKey(CIPHERTEXT, fingerprint),
        1,
        START - timedelta(days=1),
        START - timedelta(days=1),
        "alice",
        grants,
    )


def make_request(
    *,
    key: KeyName = KEY,
    app: SpiffeId = BILLING,
    endpoint: str = "chat/completions",
    model: str = "gpt-4o",
    source_ip: str = "10.1.2.3",
    app_token: SecretBytes | None = None,
) -> LeaseRequest:
    """Return what a gateway asks for."""
    return LeaseRequest(
        "request-0001", key, app, endpoint, model, ip_address(source_ip), b"\0" * 32, 100, app_token
    )
