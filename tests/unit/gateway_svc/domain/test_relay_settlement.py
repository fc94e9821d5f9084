from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway_svc.domain.errors import (
    GrantRevokedError,
    KeyRejectedUpstreamError,
    LeaseExpiredError,
    SealedKeyUnusableError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.lease_ports import LeaseOutcome
from gateway_svc.domain.usage import Usage, UsageSource
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.relay_stage import (
    ANSWER,
    ANSWERED,
    CALL,
    LEASE,
    SETTLED,
    Stage,
    read,
)

REPORTED = Usage(11, 7, source=UsageSource.REPORTED)


async def test_a_served_call_is_settled_with_its_tokens() -> None:
    stage = Stage(FakeUpstream(ANSWER[:20], ANSWER[20:]))

    assert await stage.serve() == ANSWER
    assert stage.leaser.settlements == [replace(ANSWERED, usage=REPORTED)]


async def test_a_refusal_by_the_key_service_leaves_nothing_to_settle() -> None:
    stage = Stage(lease=GrantRevokedError())

    with pytest.raises(GrantRevokedError):
        await stage.serve()

    assert stage.opener.opened == []
    assert stage.leaser.settlements == []


@pytest.mark.parametrize(
    "failure", [SealedKeyUnusableError(), VaultUnavailableError(), RuntimeError("a fault")]
)
async def test_a_key_that_does_not_open_is_settled_as_unused(failure: Exception) -> None:
    stage = Stage(key=failure)

    with pytest.raises(type(failure)):
        await stage.serve()

    assert stage.upstream.sent == []
    assert stage.leaser.settlements == [replace(SETTLED, outcome=LeaseOutcome.UNUSED)]


@pytest.mark.parametrize("seconds_late", [0, 1])
async def test_a_lease_that_has_ended_is_not_opened(seconds_late: int) -> None:
    expired = replace(LEASE, expire_time=START - timedelta(seconds=seconds_late))
    stage = Stage(lease=expired)

    with pytest.raises(LeaseExpiredError):
        await stage.serve()

    assert stage.opener.opened == []
    assert stage.leaser.settlements == [replace(SETTLED, outcome=LeaseOutcome.UNUSED)]


async def test_a_key_that_openai_refuses_is_settled_as_rejected() -> None:
    stage = Stage(FakeUpstream(b'{"error":{"message":"sk-canary"}}', status=401))

    with pytest.raises(KeyRejectedUpstreamError):
        await stage.serve()

    assert stage.leaser.settlements == [
        replace(ANSWERED, outcome=LeaseOutcome.KEY_REJECTED, http_status=401)
    ]
    assert stage.upstream.open_count == 0


@pytest.mark.parametrize("failure", [UpstreamUnavailableError(), UpstreamTimedOutError()])
async def test_an_openai_that_does_not_answer_is_settled_as_failed(failure: ServiceError) -> None:
    stage = Stage(FakeUpstream(refuses_connection=failure))

    with pytest.raises(type(failure)):
        await stage.serve()

    assert stage.leaser.settlements == [replace(SETTLED, outcome=LeaseOutcome.UPSTREAM_FAILED)]


@pytest.mark.parametrize("failure", [UpstreamUnavailableError(), UpstreamTimedOutError()])
async def test_an_answer_that_breaks_off_is_settled_as_failed_with_the_tokens_so_far(
    failure: ServiceError,
) -> None:
    event = b'data: {"usage":{"prompt_tokens":11,"completion_tokens":1}}\n\n'
    headers = (("content-type", "text/event-stream"),)
    stage = Stage(FakeUpstream(event, failure, headers=headers))

    with pytest.raises(type(failure)):
        await stage.serve()

    assert stage.leaser.settlements == [
        replace(
            SETTLED,
            outcome=LeaseOutcome.UPSTREAM_FAILED,
            http_status=200,
            usage=replace(REPORTED, output_tokens=1),
        )
    ]


async def test_an_app_that_goes_away_in_mid_body_is_settled_as_cancelled() -> None:
    stage = Stage(FakeUpstream(b"{", b"}"))

    with pytest.raises(ConnectionResetError):
        await _go_away_after_one_piece(stage)

    assert stage.leaser.settlements == [replace(ANSWERED, outcome=LeaseOutcome.CANCELLED)]
    assert stage.upstream.open_count == 0


async def _go_away_after_one_piece(stage: Stage) -> None:
    async with stage.relay.exchange(CALL) as exchange:
        async for _ in exchange.body():
            raise ConnectionResetError


async def test_a_cancelled_call_is_settled_as_cancelled() -> None:
    stage = Stage()

    with pytest.raises(asyncio.CancelledError):
        async with stage.relay.exchange(CALL):
            raise asyncio.CancelledError

    assert stage.leaser.settlements == [replace(ANSWERED, outcome=LeaseOutcome.CANCELLED)]


@pytest.mark.parametrize("where", ["opening", "sending"])
async def test_a_call_that_is_cancelled_before_the_answer_is_settled_as_cancelled(
    where: str,
) -> None:
    gone = asyncio.CancelledError()
    stage = {
        "opening": Stage(key=gone),
        "sending": Stage(FakeUpstream(refuses_connection=gone)),
    }[where]

    with pytest.raises(asyncio.CancelledError):
        await stage.serve()

    assert stage.leaser.settlements == [replace(SETTLED, outcome=LeaseOutcome.CANCELLED)]


async def test_an_answer_that_nobody_reads_is_settled_as_cancelled() -> None:
    stage = Stage()

    async with stage.relay.exchange(CALL):
        pass

    assert stage.leaser.settlements == [replace(ANSWERED, outcome=LeaseOutcome.CANCELLED)]


async def test_a_call_that_was_served_stays_served_when_the_app_goes_away_afterwards() -> None:
    stage = Stage()

    with pytest.raises(ConnectionResetError):
        await _go_away_after_the_last_piece(stage)

    assert [s.outcome for s in stage.leaser.settlements] == [LeaseOutcome.SERVED]


async def _go_away_after_the_last_piece(stage: Stage) -> None:
    async with stage.relay.exchange(CALL) as exchange:
        await read(exchange)
        raise ConnectionResetError


async def test_an_error_of_openai_is_served_without_an_echo_of_the_key() -> None:
    stage = Stage(FakeUpstream(b'{"error":"sk-pr', b'oj-****wxyz"}', status=400))

    assert await stage.serve() == b'{"error":"[key]"}'
    assert stage.leaser.settlements == [replace(ANSWERED, http_status=400)]


async def test_an_error_without_end_is_an_upstream_failure() -> None:
    stage = Stage(FakeUpstream(*[b"x" * 65_536] * 17, status=500))

    with pytest.raises(UpstreamUnavailableError):
        await stage.serve()

    assert [s.outcome for s in stage.leaser.settlements] == [LeaseOutcome.UPSTREAM_FAILED]
