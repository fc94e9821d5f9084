from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway_svc.domain import patient_leaser
from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import GrantRevokedError
from gateway_svc.domain.lease_ports import Lease, LeaseOutcome
from gateway_svc.domain.live_relay import LiveRelay
from gateway_svc.domain.patient_leaser import PatientKeyLeaser
from gateway_svc.domain.proxied_calls import ProxiedCalls, ProxyRoute
from gateway_svc.domain.relay import Relay
from svc_runtime.service_error import ServiceError
from tests.fakes.slow_key_leaser import SlowKeyLeaser
from tests.loop_faults import faults_of_loop
from tests.unit.gateway_svc.relay_stage import ANSWER, CALL, LEASE, SETTLED, Stage, read

UNUSED = replace(SETTLED, outcome=LeaseOutcome.UNUSED)
LIVE = replace(
    CALL, method="GET", endpoint=Endpoint.parse("realtime"), query="model=gpt-realtime", body=b""
)
BASE_URL = "https://api.openai.com/v1"


class SlowStage(Stage):
    """A relay whose key service answers when it is let."""

    def __init__(self, answer: Lease | ServiceError = LEASE) -> None:
        super().__init__()
        self.leaser: SlowKeyLeaser = SlowKeyLeaser(answer)
        self.patient = PatientKeyLeaser(self.leaser)
        self.relay = Relay(self.patient, self.opener, self.upstream, self.clock)
        self.live_relay = LiveRelay(self.patient, self.opener, self.live_upstream, self.clock)
        route = ProxyRoute(BASE_URL, BASE_URL)
        self.proxied = ProxiedCalls(self.patient, self.opener, self.clock, route)

    async def leave(self, way: str = "relay") -> None:
        """Make a call and go away while the key service decides."""
        asking = asyncio.create_task(getattr(self, f"_by_{way}")())
        await self.leaser.is_asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def _by_relay(self) -> None:
        await self.serve()

    async def _by_live_relay(self) -> None:
        async with self.live_relay.live(LIVE, ()):
            pass

    async def _by_proxied(self) -> None:
        async with self.proxied.opened(CALL):
            pass


@pytest.mark.parametrize("way", ["relay", "live_relay", "proxied"])
async def test_a_lease_that_comes_after_the_app_has_gone_is_settled_as_unused(way: str) -> None:
    stage = SlowStage()

    await stage.leave(way)
    assert stage.leaser.settlements == []
    stage.leaser.is_let_answer.set()
    await stage.patient.close()

    assert stage.leaser.settlements == [UNUSED]
    assert stage.leaser.given_up_count == 0
    assert stage.opener.opened == []


@pytest.mark.parametrize("turns", range(8))
async def test_whenever_the_app_goes_its_lease_is_settled_once(turns: int) -> None:
    stage = SlowStage()
    asking = asyncio.create_task(stage.serve())
    await stage.leaser.is_asked.wait()

    stage.leaser.is_let_answer.set()
    for _ in range(turns):  # of the event loop: the answer comes closer, is here, has been used
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait((asking,))
    await stage.patient.close()

    assert [s.lease_id for s in stage.leaser.settlements] == [LEASE.lease_id]


async def test_a_refusal_that_comes_after_the_app_has_gone_is_told_nobody() -> None:
    stage = SlowStage(GrantRevokedError())

    with faults_of_loop() as faults:
        await stage.leave()
        stage.leaser.is_let_answer.set()
        await stage.patient.close()

    assert len(stage.leaser.requests) == 1
    assert stage.leaser.settlements == []
    assert faults == []


async def test_an_app_that_stays_gets_its_answer_and_one_settlement() -> None:
    stage = SlowStage()
    stage.leaser.is_let_answer.set()

    assert await stage.serve() == ANSWER
    await stage.patient.close()

    assert [s.outcome for s in stage.leaser.settlements] == [LeaseOutcome.SERVED]


async def test_an_app_that_stays_gets_its_refusal() -> None:
    stage = SlowStage(GrantRevokedError())
    stage.leaser.is_let_answer.set()

    with pytest.raises(GrantRevokedError):
        await stage.serve()

    assert stage.leaser.settlements == []


async def test_what_the_key_service_does_not_answer_is_given_up_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patient_leaser, "_CLOSE_SECONDS", 0.0)
    stage = SlowStage()

    await stage.leave()
    await stage.patient.close()

    assert stage.leaser.given_up_count == 1
    assert stage.leaser.settlements == []


async def test_a_call_under_way_is_checked_and_settled_by_the_key_service() -> None:
    stage = SlowStage()
    stage.leaser.is_let_answer.set()
    async with stage.relay.exchange(CALL) as exchange:
        await read(exchange)
    [request] = stage.leaser.requests

    await stage.patient.check(LEASE.lease_id, request, 10.0)

    assert stage.leaser.checks == [(LEASE.lease_id, request)]
    assert len(stage.leaser.settlements) == 1
