"""The relay over fakes, and one call of an app."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import Lease, LeaseOutcome, LeaseSettlement
from gateway_svc.domain.live_relay import LiveRelay
from gateway_svc.domain.relay import AppCall, Exchange, Relay
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_key_leaser import FakeKeyLeaser
from tests.fakes.fake_key_opener import FakeKeyOpener
from tests.fakes.fake_live_upstream import FakeLiveUpstream
from tests.fakes.fake_upstream import FakeUpstream

API_KEY = SecretBytes(b"sk-canary-0123456789abcdef")
APP_TOKEN = SecretBytes(b"header.canary.signature")
OWNER_TOKEN = SecretBytes(b"header.owner-canary.signature")
GRANT = "users/alice/keys/openai/grants/1111111111111111"
LEASE = Lease("0" * 32, 3, GRANT, START + timedelta(seconds=10), "vault:v1:canary")
BODY = b'{"model":"gpt-4o","max_tokens":10,"messages":[]}'
CALL = AppCall(
    "request-0001",
    SpiffeId.parse("spiffe://example.org/app/billing"),
    KeyName.parse("users/alice/keys/openai"),
    "10.1.2.3",
    60.0,
    "POST",
    Endpoint.parse("chat/completions"),
    "x=1",
    (("Content-Type", "application/json"), ("Cookie", "canary"), ("Authorization", "canary")),
    BODY,
    APP_TOKEN,
    OWNER_TOKEN,
)
ANSWER = b'{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7}}'
SETTLED = LeaseSettlement(
    "0" * 32,
    "request-0001",
    "users/alice/keys/openai",
    GRANT,
    "spiffe://example.org/app/billing",
    LeaseOutcome.SERVED,
)
ANSWERED = replace(SETTLED, http_status=200, openai_request_id="req-openai")


class Stage:
    """A relay over fakes."""

    def __init__(
        self,
        upstream: FakeUpstream | None = None,
        *,
        lease: Lease | ServiceError = LEASE,
        key: SecretBytes | BaseException = API_KEY,
    ) -> None:
        self.clock = FakeClock()
        self.leaser = FakeKeyLeaser(lease)
        self.opener = FakeKeyOpener(key)
        self.upstream = upstream or FakeUpstream(ANSWER)
        self.relay = Relay(self.leaser, self.opener, self.upstream, self.clock)
        self.live_upstream = FakeLiveUpstream()
        self.live_relay = LiveRelay(self.leaser, self.opener, self.live_upstream, self.clock)

    async def serve(self, call: AppCall = CALL) -> bytes:
        """Make *call* and return the whole answer."""
        async with self.relay.exchange(call) as exchange:
            return await read(exchange)


async def read(exchange: Exchange) -> bytes:
    """Return the whole body."""
    return b"".join([piece async for piece in exchange.body()])
