from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway_svc.domain.errors import NotGrantedError
from gateway_svc.domain.lease_ports import LeaseOutcome
from gateway_svc.domain.relay import Relay
from gateway_svc.domain.usage import Usage, UsageSource
from gateway_svc.keyvault_client.measured_leaser import MeasuredKeyLeaser
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_key_leaser import FakeKeyLeaser
from tests.fakes.figures import Figures, measured_figures
from tests.unit.gateway_svc.relay_stage import CALL, LEASE, SETTLED, Stage, read

DURATION = "gen_ai_client_operation_duration_seconds"
TOKENS = "gen_ai_client_token_usage"
CHAT = (
    ("gen_ai_operation_name", "chat"),
    ("gen_ai_provider_name", "openai"),
    ("gen_ai_request_model", "gpt-4o"),
)


@pytest.fixture
def figures() -> Iterator[Figures]:
    with measured_figures() as figures:
        yield figures


async def _serve(stage: Stage) -> None:
    relay = Relay(
        MeasuredKeyLeaser(stage.leaser, stage.clock), stage.opener, stage.upstream, stage.clock
    )
    async with relay.exchange(CALL) as exchange:
        stage.clock.advance(2.0)
        await read(exchange)


async def test_a_call_is_measured_from_its_lease_to_its_end(figures: Figures) -> None:
    stage = Stage()

    await _serve(stage)

    assert figures.of(f"{DURATION}_count") == {CHAT: 1}
    assert figures.of(f"{DURATION}_sum") == {CHAT: 2.0}
    assert [s.outcome for s in stage.leaser.settlements] == [LeaseOutcome.SERVED]


async def test_the_tokens_that_openai_reports_are_measured(figures: Figures) -> None:
    await _serve(Stage())

    assert figures.of(f"{TOKENS}_sum") == {
        (*CHAT, ("gen_ai_token_type", "input")): 11,
        (*CHAT, ("gen_ai_token_type", "output")): 7,
    }


@pytest.mark.parametrize(
    ("outcome", "http_status", "error_type"),
    [
        (LeaseOutcome.SERVED, 429, "429"),
        (LeaseOutcome.SERVED, 500, "500"),
        (LeaseOutcome.KEY_REJECTED, 401, "401"),
        (LeaseOutcome.KEY_REJECTED, 0, "401"),
        (LeaseOutcome.UPSTREAM_FAILED, 0, "upstream_failed"),
        (LeaseOutcome.UPSTREAM_FAILED, 200, "upstream_failed"),
        (LeaseOutcome.CANCELLED, 200, "cancelled"),
    ],
)
async def test_a_call_that_failed_is_measured_with_what_failed(
    outcome: LeaseOutcome, http_status: int, error_type: str, figures: Figures
) -> None:
    leaser = await _begun()

    leaser.settle(replace(SETTLED, outcome=outcome, http_status=http_status))

    assert figures.of(f"{DURATION}_count") == {(("error_type", error_type), *CHAT): 1}


async def test_a_lease_that_called_nobody_is_not_measured(figures: Figures) -> None:
    leaser = await _begun()

    leaser.settle(replace(SETTLED, outcome=LeaseOutcome.UNUSED))

    assert figures.of(f"{DURATION}_count") == {}


async def test_tokens_that_nobody_told_are_not_measured(figures: Figures) -> None:
    leaser = await _begun()

    leaser.settle(replace(SETTLED, usage=Usage(source=UsageSource.NONE)))

    assert figures.of(f"{TOKENS}_count") == {}


async def test_every_settlement_is_passed_on(figures: Figures) -> None:
    inner = FakeKeyLeaser(LEASE)

    MeasuredKeyLeaser(inner, FakeClock()).settle(SETTLED)

    assert inner.settlements == [SETTLED]
    assert figures.of(f"{DURATION}_count") == {}


async def test_a_refusal_is_passed_on() -> None:
    stage = Stage(lease=NotGrantedError())

    with pytest.raises(NotGrantedError):
        await _serve(stage)


async def test_a_model_that_an_app_made_up_has_no_figures_of_its_own(figures: Figures) -> None:
    stage = Stage()
    await stage.serve()
    request = replace(stage.leaser.requests[0], model="users/alice")
    leaser = MeasuredKeyLeaser(stage.leaser, stage.clock)

    await leaser.acquire(request, 1.0)
    leaser.settle(SETTLED)

    (labels,) = figures.of(f"{DURATION}_count")
    assert dict(labels)["gen_ai_request_model"] == "other"


async def _begun() -> MeasuredKeyLeaser:
    """Return a leaser that has given the lease of `SETTLED`."""
    stage = Stage()
    await stage.serve()
    leaser = MeasuredKeyLeaser(FakeKeyLeaser(LEASE), stage.clock)
    await leaser.acquire(stage.leaser.requests[0], 1.0)
    return leaser
