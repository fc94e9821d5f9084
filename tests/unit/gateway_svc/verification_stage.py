"""The verifier over fakes, and one key to try."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import KeyOpener, Lease
from gateway_svc.domain.upstream_ports import Upstream
from gateway_svc.domain.verifier import Verification, Verifier
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_key_opener import FakeKeyOpener
from tests.fakes.fake_verification_desk import FakeVerificationDesk

API_KEY: Final = SecretBytes(b"sk-canary-0123456789abcdef")
MODEL: Final = "gpt-4o-mini"


def verification(number: int = 0) -> Verification:
    """Return a key to try; *number* tells one from another."""
    return Verification(
        f"request-{number:04}",
        KeyName.parse(f"users/alice/keys/openai-{number}"),
        SpiffeId.parse("spiffe://example.org/gateway"),
        Lease(f"{number:032x}", 1, "", START + timedelta(seconds=10), "vault:v1:canary"),
    )


def make_verifier(
    upstream: Upstream,
    desk: FakeVerificationDesk,
    *,
    opener: KeyOpener | None = None,
    clock: FakeClock | None = None,
    model: str = MODEL,
) -> Verifier:
    """Return a verifier over fakes."""
    return Verifier(desk, opener or FakeKeyOpener(API_KEY), upstream, clock or FakeClock(), model)
