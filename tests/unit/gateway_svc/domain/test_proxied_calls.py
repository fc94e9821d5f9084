from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway_svc.domain.errors import (
    KeyServiceUnavailableError,
    LeaseExpiredError,
    NotGrantedError,
    UpstreamNotAllowedError,
)
from gateway_svc.domain.lease_ports import Lease, LeaseOutcome
from gateway_svc.domain.proxied_calls import ProxiedCalls, ProxyRoute
from gateway_svc.domain.relay import AppCall
from gateway_svc.domain.usage import Usage
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError, ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_key_leaser import FakeKeyLeaser
from tests.fakes.fake_key_opener import FakeKeyOpener
from tests.unit.gateway_svc.relay_stage import API_KEY, CALL, LEASE, SETTLED, Stage

OPENAI = "https://api.openai.com/v1"
EUROPE = "https://eu.api.openai.com/v1"


class _Proxied:
    """`ProxiedCalls` over fakes."""

    def __init__(
        self,
        lease: Lease | ServiceError = LEASE,
        key: SecretBytes | BaseException = API_KEY,
        route: str = OPENAI,
    ) -> None:
        self.clock = FakeClock()
        self.leaser = FakeKeyLeaser(lease)
        self.opener = FakeKeyOpener(key)
        self.calls = ProxiedCalls(self.leaser, self.opener, self.clock, ProxyRoute(route, OPENAI))

    async def key(self, call: AppCall = CALL) -> SecretBytes:
        async with self.calls.opened(call) as opened:
            return opened.api_key

    @property
    def outcomes(self) -> list[LeaseOutcome]:
        return [settlement.outcome for settlement in self.leaser.settlements]


async def test_the_key_service_is_asked_what_it_is_asked_for_a_call_that_is_relayed() -> None:
    relayed, proxied = Stage(), _Proxied()

    await relayed.serve()
    await proxied.key()

    assert proxied.leaser.requests == relayed.leaser.requests


async def test_a_key_is_opened_once_and_its_lease_settled_at_what_it_reserved() -> None:
    proxied = _Proxied()

    assert await proxied.key() == API_KEY
    assert len(proxied.opener.opened) == 1
    # Nothing is known of the usage: the key service leaves the reservation charged.
    assert proxied.leaser.settlements == [replace(SETTLED, usage=Usage())]


@pytest.mark.parametrize(
    ("chosen", "route", "is_handed_out"),
    [
        ("", OPENAI, True),
        (OPENAI, OPENAI, True),
        (f"{OPENAI}/", OPENAI, True),
        (EUROPE, EUROPE, True),
        (EUROPE, OPENAI, False),
        ("", EUROPE, False),
        ("https://evil.example/v1", OPENAI, False),
    ],
)
async def test_a_key_goes_only_where_its_owner_wants_it(
    chosen: str, route: str, *, is_handed_out: bool
) -> None:
    proxied = _Proxied(replace(LEASE, base_url=chosen), route=route)

    if is_handed_out:
        await proxied.key()
    else:
        with pytest.raises(UpstreamNotAllowedError):
            await proxied.key()

    assert len(proxied.opener.opened) == is_handed_out
    assert proxied.outcomes == [LeaseOutcome.SERVED if is_handed_out else LeaseOutcome.UNUSED]


@pytest.mark.parametrize("refusal", [NotGrantedError(), KeyServiceUnavailableError()])
async def test_what_the_key_service_refuses_is_refused(refusal: ServiceError) -> None:
    proxied = _Proxied(refusal)

    with pytest.raises(type(refusal)):
        await proxied.key()

    assert proxied.leaser.settlements == []


async def test_a_key_that_cannot_be_opened_is_settled_as_unused() -> None:
    proxied = _Proxied(key=VaultUnavailableError())

    with pytest.raises(VaultUnavailableError):
        await proxied.key()

    assert proxied.outcomes == [LeaseOutcome.UNUSED]


async def test_a_lease_that_has_ended_is_not_opened() -> None:
    proxied = _Proxied(replace(LEASE, expire_time=LEASE.expire_time - timedelta(seconds=10)))

    with pytest.raises(LeaseExpiredError):
        await proxied.key()

    assert proxied.opener.opened == []


async def test_a_question_that_is_broken_off_stays_charged() -> None:
    proxied = _Proxied(key=asyncio.CancelledError())

    with pytest.raises(asyncio.CancelledError):
        await proxied.key()

    assert proxied.outcomes == [LeaseOutcome.CANCELLED]


async def test_a_key_that_never_left_is_settled_as_unused() -> None:
    proxied = _Proxied()

    with pytest.raises(ZeroDivisionError):
        async with proxied.calls.opened(CALL):
            raise ZeroDivisionError

    assert proxied.outcomes == [LeaseOutcome.UNUSED]


async def test_a_large_body_is_read_as_a_small_one_is() -> None:
    large = b'{"model":"gpt-4o","messages":["' + b"x" * 300_000 + b'"]}'
    proxied = _Proxied()

    await proxied.key(replace(CALL, body=large))

    assert [request.model for request in proxied.leaser.requests] == ["gpt-4o"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model":"a","model":"b"}', b"\x1f\x8b"])
async def test_a_body_that_policy_cannot_read_is_refused(body: bytes) -> None:
    proxied = _Proxied()

    with pytest.raises(InvalidFieldError):
        await proxied.key(replace(CALL, body=body))

    assert proxied.leaser.requests == []
