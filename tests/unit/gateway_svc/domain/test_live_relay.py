from __future__ import annotations

from dataclasses import replace

import pytest

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import (
    GrantRevokedError,
    KeyRejectedUpstreamError,
    LeaseExpiredError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.lease_ports import LeaseOutcome
from gateway_svc.domain.live_session import UpstreamRefusedLiveError
from gateway_svc.domain.usage import Usage, UsageSource
from tests.unit.gateway_svc.relay_stage import API_KEY, APP_TOKEN, CALL, LEASE, OWNER_TOKEN, Stage

LIVE = replace(
    CALL, method="GET", endpoint=Endpoint.parse("realtime"), query="model=gpt-realtime", body=b""
)


async def test_a_session_has_one_lease_for_a_websocket_and_the_model_of_its_query() -> None:
    stage = Stage()
    async with stage.live_relay.live(LIVE, ["realtime"]) as live:
        assert live.subprotocol == "realtime"
        assert live.headers == (("x-request-id", "req-openai"),)
        assert live.receipt.lease_id == LEASE.lease_id
        assert stage.leaser.settlements == []

    [request] = stage.leaser.requests
    assert (request.method, request.endpoint, request.model) == (
        "WEBSOCKET",
        "realtime",
        "gpt-realtime",
    )
    assert request.body_sha256 == b""
    assert (request.input_token_bound, request.output_token_bound) == (0, 0)
    assert (request.app_token, request.owner_token) == (APP_TOKEN, OWNER_TOKEN)


async def test_the_handshake_bears_the_key_and_the_listed_headers_only() -> None:
    stage = Stage()
    async with stage.live_relay.live(LIVE, ["realtime"]):
        pass

    [(request, subprotocols, api_key)] = stage.live_upstream.offered
    assert api_key == API_KEY
    assert list(subprotocols) == ["realtime"]
    assert (request.method, request.query, request.body) == ("GET", "model=gpt-realtime", b"")
    assert request.headers == (("content-type", "application/json"),)


async def test_a_session_that_ended_in_order_is_settled_as_served_with_its_usage() -> None:
    stage = Stage()
    usage = Usage(input_tokens=3, output_tokens=4, source=UsageSource.REPORTED)
    async with stage.live_relay.live(LIVE, []) as live:
        live.usage = usage
        live.outcome = LeaseOutcome.SERVED

    [settlement] = stage.leaser.settlements
    assert (settlement.outcome, settlement.usage) == (LeaseOutcome.SERVED, usage)
    assert (settlement.http_status, settlement.openai_request_id) == (101, "req-openai")
    assert stage.live_upstream.open_count == 0


async def test_a_session_that_breaks_off_is_settled_as_cancelled() -> None:
    stage = Stage()
    with pytest.raises(ConnectionError):
        async with stage.live_relay.live(LIVE, []):
            raise ConnectionError

    assert [s.outcome for s in stage.leaser.settlements] == [LeaseOutcome.CANCELLED]


async def test_to_go_on_or_to_use_a_model_is_checked_under_the_lease_there_is() -> None:
    stage = Stage()
    async with stage.live_relay.live(LIVE, []) as live:
        await live.allow(("gpt-4o", "whisper-1"))
        await live.allow(())

    [request] = stage.leaser.requests
    assert stage.leaser.checks == [
        (LEASE.lease_id, replace(request, more_models=("gpt-4o", "whisper-1"))),
        (LEASE.lease_id, request),
    ]
    assert [s.outcome for s in stage.leaser.settlements] == [LeaseOutcome.CANCELLED]
    assert len(stage.opener.opened) == 1


async def test_a_model_is_checked_alone_where_the_handshake_named_none() -> None:
    stage = Stage()
    async with stage.live_relay.live(replace(LIVE, query=""), []) as live:
        await live.allow(("gpt-4o", "whisper-1"))

    [request] = stage.leaser.requests
    assert stage.leaser.checks == [
        (LEASE.lease_id, replace(request, model="gpt-4o", more_models=("whisper-1",)))
    ]


async def test_a_refusal_of_the_key_service_comes_before_any_connection() -> None:
    stage = Stage(lease=GrantRevokedError())
    with pytest.raises(GrantRevokedError):
        async with stage.live_relay.live(LIVE, []):
            pass

    assert stage.live_upstream.offered == []


async def test_a_lease_that_has_ended_opens_no_key() -> None:
    stage = Stage(lease=replace(LEASE, expire_time=Stage().clock.now()))
    with pytest.raises(LeaseExpiredError):
        async with stage.live_relay.live(LIVE, []):
            pass

    assert stage.opener.opened == []


@pytest.mark.parametrize(
    ("failure", "outcome", "status"),
    [
        (KeyRejectedUpstreamError(), LeaseOutcome.KEY_REJECTED, 0),
        (UpstreamUnavailableError(), LeaseOutcome.UPSTREAM_FAILED, 0),
        (UpstreamRefusedLiveError(400, (), b"{}"), LeaseOutcome.SERVED, 400),
    ],
)
async def test_a_handshake_that_fails_is_settled_by_how_it_failed(
    failure: Exception, outcome: LeaseOutcome, status: int
) -> None:
    stage = Stage()
    stage.live_upstream.refusal = failure
    with pytest.raises(type(failure)):
        async with stage.live_relay.live(LIVE, []):
            pass

    [settlement] = stage.leaser.settlements
    assert (settlement.outcome, settlement.http_status) == (outcome, status)


async def test_the_account_is_named_only_where_the_grant_lets_the_app_choose() -> None:
    call = replace(LIVE, headers=(("openai-organization", "org-1"),))
    for may_choose, sent in ((False, ()), (True, call.headers)):
        stage = Stage(lease=replace(LEASE, may_choose_account=may_choose, base_url="https://x/v1"))
        async with stage.live_relay.live(call, []):
            pass
        [(request, _, _)] = stage.live_upstream.offered
        assert (request.headers, request.base_url) == (sent, "https://x/v1")
