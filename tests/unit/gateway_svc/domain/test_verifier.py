from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway_svc.domain.errors import (
    HandoffSpentError,
    KeyServiceUnavailableError,
    LeaseExpiredError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.verification import VerificationOutcome
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_key_opener import FakeKeyOpener
from tests.fakes.fake_upstream import FakeUpstream
from tests.fakes.fake_verification_desk import FakeVerificationDesk
from tests.fakes.scripted_upstream import ScriptedUpstream
from tests.unit.gateway_svc.verification_stage import API_KEY, MODEL, make_verifier, verification

VERIFICATION = verification()
MODELS = (200, b'{"object": "list", "data": []}')
COMPLETION = (200, b'{"object": "chat.completion"}')


def _error(status: int, code: str | None) -> tuple[int, bytes]:
    return status, json.dumps({"error": {"code": code, "type": "invalid_request_error"}}).encode()


WRONG_KEY = _error(401, "invalid_api_key")
FORBIDDEN = _error(403, None)
RETIRED = _error(404, "model_not_found")
BROKE = _error(429, "insufficient_quota")
PACED = _error(429, "rate_limit_exceeded")
FAILED = _error(500, None)


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([MODELS, COMPLETION], VerificationOutcome.VERIFIED),
        ([MODELS, PACED], VerificationOutcome.VERIFIED),
        ([MODELS, RETIRED], VerificationOutcome.VERIFIED),
        ([PACED, COMPLETION], VerificationOutcome.VERIFIED),
        ([FORBIDDEN, COMPLETION], VerificationOutcome.VERIFIED),
        ([FORBIDDEN, RETIRED], VerificationOutcome.NO_PERMISSION),
        ([FORBIDDEN, FORBIDDEN], VerificationOutcome.NO_PERMISSION),
        ([MODELS, FORBIDDEN], VerificationOutcome.NO_PERMISSION),
        ([MODELS, BROKE], VerificationOutcome.NO_QUOTA),
        ([WRONG_KEY], VerificationOutcome.WRONG_KEY),
        ([MODELS, WRONG_KEY], VerificationOutcome.WRONG_KEY),
        ([_error(401, "ip_not_authorized")] * 2, VerificationOutcome.NO_PERMISSION),
        ([FAILED], VerificationOutcome.OPENAI_UNREACHABLE),
        ([MODELS, FAILED], VerificationOutcome.OPENAI_UNREACHABLE),
        ([UpstreamUnavailableError()], VerificationOutcome.OPENAI_UNREACHABLE),
        ([MODELS, UpstreamTimedOutError()], VerificationOutcome.OPENAI_UNREACHABLE),
    ],
)
async def test_what_openai_says_of_a_key_is_reported(
    script: list[tuple[int, bytes] | ServiceError], outcome: VerificationOutcome
) -> None:
    desk, upstream = FakeVerificationDesk(), ScriptedUpstream(*script)

    found = await make_verifier(upstream, desk).verify(VERIFICATION)

    assert found is outcome
    assert desk.reports == [(VERIFICATION.lease.lease_id, outcome)]
    assert len(upstream.sent) == len(script)


@pytest.mark.parametrize(
    ("listing", "outcome"),
    [
        (MODELS, VerificationOutcome.VERIFIED),
        (FORBIDDEN, VerificationOutcome.NO_PERMISSION),
        (RETIRED, VerificationOutcome.OPENAI_UNREACHABLE),
    ],
)
async def test_without_a_model_the_list_alone_decides(
    listing: tuple[int, bytes], outcome: VerificationOutcome
) -> None:
    desk, upstream = FakeVerificationDesk(), ScriptedUpstream(listing)

    await make_verifier(upstream, desk, model="").verify(VERIFICATION)

    assert desk.reports == [(VERIFICATION.lease.lease_id, outcome)]


async def test_a_key_is_opened_once_and_sent_with_two_small_requests() -> None:
    opener, upstream = FakeKeyOpener(API_KEY), ScriptedUpstream(MODELS, COMPLETION)

    await make_verifier(upstream, FakeVerificationDesk(), opener=opener).verify(VERIFICATION)

    assert opener.opened == [(VERIFICATION, VERIFICATION.lease)]
    (listing, first_key), (asking, second_key) = upstream.sent
    assert first_key is second_key is API_KEY
    assert (listing.method, listing.endpoint.name, listing.body) == ("GET", "models", b"")
    assert (asking.method, asking.endpoint.name) == ("POST", "chat/completions")
    assert isinstance(asking.body, bytes)
    assert json.loads(asking.body) == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "ping"}],
        "max_completion_tokens": 1,
    }


async def test_a_key_is_tried_where_it_is_used() -> None:
    upstream = ScriptedUpstream(MODELS, COMPLETION)
    lease = replace(VERIFICATION.lease, base_url="https://eu.api.openai.com/v1")

    await make_verifier(upstream, FakeVerificationDesk()).verify(replace(VERIFICATION, lease=lease))

    assert [request.base_url for request, _ in upstream.sent] == [lease.base_url] * 2


async def test_a_verification_ends_within_the_minute_of_its_claim() -> None:
    opener, upstream = FakeKeyOpener(API_KEY), ScriptedUpstream(MODELS, COMPLETION)
    report_seconds = 10.0

    await make_verifier(upstream, FakeVerificationDesk(), opener=opener).verify(VERIFICATION)

    assert sum([*opener.timeouts, *upstream.timeouts]) + report_seconds < 60


async def test_an_answer_without_end_is_no_answer() -> None:
    upstream, desk = FakeUpstream(*[b" " * 100_000] * 20), FakeVerificationDesk()

    found = await make_verifier(upstream, desk).verify(VERIFICATION)

    assert found is VerificationOutcome.OPENAI_UNREACHABLE
    assert (len(upstream.sent), upstream.open_count) == (1, 0)


async def test_an_answer_that_breaks_off_is_no_answer() -> None:
    upstream, desk = FakeUpstream(b"{", UpstreamUnavailableError()), FakeVerificationDesk()

    assert (
        await make_verifier(upstream, desk).verify(VERIFICATION)
        is VerificationOutcome.OPENAI_UNREACHABLE
    )


async def test_a_lease_that_has_ended_is_neither_opened_nor_reported() -> None:
    clock, opener, desk = FakeClock(), FakeKeyOpener(API_KEY), FakeVerificationDesk()
    verifier = make_verifier(ScriptedUpstream(), desk, opener=opener, clock=clock)
    clock.advance(10)

    with pytest.raises(LeaseExpiredError):
        await verifier.verify(VERIFICATION)

    assert (opener.opened, desk.reports) == ([], [])


@pytest.mark.parametrize(
    "failure", [VaultUnavailableError(), HandoffSpentError(), LeaseExpiredError()]
)
async def test_a_failure_of_our_own_is_not_reported(failure: ServiceError) -> None:
    upstream, desk = ScriptedUpstream(), FakeVerificationDesk()

    with pytest.raises(type(failure)):
        await make_verifier(upstream, desk, opener=FakeKeyOpener(failure)).verify(VERIFICATION)

    assert (upstream.sent, desk.reports) == ([], [])


async def test_a_report_that_is_refused_is_no_outcome() -> None:
    desk = FakeVerificationDesk(refuses_report=KeyServiceUnavailableError())

    with pytest.raises(KeyServiceUnavailableError):
        await make_verifier(ScriptedUpstream(MODELS, COMPLETION), desk).verify(VERIFICATION)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((200, b'{"object": "page", "data": []}'), VerificationOutcome.VERIFIED),
        (WRONG_KEY, VerificationOutcome.WRONG_KEY),
        (FORBIDDEN, VerificationOutcome.NO_PERMISSION),
        (FAILED, VerificationOutcome.OPENAI_UNREACHABLE),
        (PACED, VerificationOutcome.VERIFIED),
    ],
)
async def test_an_admin_key_is_tried_by_asking_for_usage(
    answer: tuple[int, bytes], outcome: VerificationOutcome
) -> None:
    desk, upstream = FakeVerificationDesk(), ScriptedUpstream(answer)

    await make_verifier(upstream, desk).verify(replace(VERIFICATION, is_admin_key=True))

    assert desk.reports == [(VERIFICATION.lease.lease_id, outcome)]
    [(request, _)] = upstream.sent
    assert (request.method, request.endpoint.raw) == ("GET", "organization/usage/completions")
    assert request.query == f"start_time={int(START.timestamp()) - 86_400}&limit=1"
