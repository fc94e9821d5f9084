from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import UpstreamUnavailableError
from gateway_svc.domain.lease_ports import KeyPurpose, Lease, LeaseOutcome, LeaseRequest, Remaining
from gateway_svc.domain.relay import AppCall, Relay
from gateway_svc.domain.upstream_ports import StreamedBody, UpstreamRequest
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_key_opener import FakeKeyOpener
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.relay_stage import (
    API_KEY,
    APP_TOKEN,
    BODY,
    CALL,
    GRANT,
    LEASE,
    OWNER_TOKEN,
    Stage,
)


async def test_the_key_service_is_told_what_policy_needs_and_no_more() -> None:
    stage = Stage()

    await stage.serve()

    assert stage.leaser.requests == [
        LeaseRequest(
            "request-0001",
            CALL.key,
            CALL.app,
            "POST",
            "chat/completions",
            "gpt-4o",
            "10.1.2.3",
            hashlib.sha256(BODY).digest(),
            len(BODY),
            10,
            APP_TOKEN,
            owner_token=OWNER_TOKEN,
        )
    ]


async def test_the_key_is_opened_once_under_the_name_that_the_app_asked_for() -> None:
    stage = Stage()

    await stage.serve()

    assert stage.opener.opened == [(stage.leaser.requests[0], LEASE)]


async def test_openai_gets_the_body_unchanged_and_listed_headers_only() -> None:
    stage = Stage()

    await stage.serve()

    request = UpstreamRequest(
        "POST",
        CALL.endpoint,
        "x=1",
        (("content-type", "application/json"), ("accept-encoding", "identity")),
        BODY,
        "",
        "gpt-4o",
        LEASE.lease_id,
    )
    assert stage.upstream.sent == [(request, API_KEY)]


async def test_the_receipt_says_whose_key_served() -> None:
    stage = Stage()

    async with stage.relay.exchange(CALL) as exchange:
        receipt = exchange.receipt

    assert receipt.headers() == (
        ("x-keyturn-request-id", "request-0001"),
        ("x-keyturn-key", "users/alice/keys/openai"),
        ("x-keyturn-key-version", "3"),
        ("x-keyturn-grant", GRANT),
        ("x-keyturn-lease", "0" * 32),
    )


async def test_the_receipt_says_what_is_left_of_the_limits_that_there_are() -> None:
    lefts = [
        (Remaining(requests=0), ("x-keyturn-remaining-requests", "0")),
        (Remaining(tokens=1_000_000), ("x-keyturn-remaining-tokens", "1000000")),
        (Remaining(micro_usd=12_500_000), ("x-keyturn-remaining-usd", "12.5")),
        (Remaining(micro_usd=1), ("x-keyturn-remaining-usd", "0.000001")),
        (Remaining(micro_usd=0), ("x-keyturn-remaining-usd", "0")),
    ]

    for remaining, entry in lefts:
        async with Stage(lease=replace(LEASE, remaining=remaining)).relay.exchange(CALL) as served:
            assert served.receipt.headers()[5:] == (entry,)


async def test_nothing_of_the_key_is_left_in_the_relay_while_the_answer_comes() -> None:
    stage = Stage()
    exchanging = stage.relay.exchange(CALL)

    async with exchanging:
        frame = exchanging.gen.ag_frame  # type: ignore[attr-defined]  # contextlib's own attribute

        assert API_KEY not in [v for v in frame.f_locals.values() if isinstance(v, SecretBytes)]


async def test_every_call_is_leased_and_opened_anew() -> None:
    stage = Stage()

    await stage.serve()
    await stage.serve()

    assert len(stage.leaser.requests) == len(stage.opener.opened) == 2
    assert len(stage.leaser.settlements) == 2


@pytest.mark.parametrize(
    "call",
    [
        replace(CALL, body=b""),
        replace(CALL, body=b"{"),
        replace(CALL, body=b'{"model":"a","model":"b"}'),
        replace(CALL, body=b"x" * (10 * 1024 * 1024 + 1)),
        replace(CALL, headers=()),
        replace(CALL, headers=(("content-type", "multipart/form-data"),)),
    ],
    ids=["none", "broken", "ambiguous", "large", "no type", "multipart"],
)
async def test_nothing_is_acquired_for_a_bad_body(call: AppCall) -> None:
    stage = Stage()

    with pytest.raises(InvalidFieldError):
        await stage.serve(call)

    assert stage.leaser.requests == []
    assert stage.leaser.settlements == []


async def test_each_step_has_the_time_that_is_left() -> None:
    stage = Stage()

    class SlowOpener(FakeKeyOpener):
        async def open(
            self, purpose: KeyPurpose, lease: Lease, timeout_seconds: float
        ) -> SecretBytes:
            stage.clock.advance(2)
            return await super().open(purpose, lease, timeout_seconds)

    opener = SlowOpener(API_KEY)
    relay = Relay(stage.leaser, opener, stage.upstream, stage.clock)

    async with relay.exchange(CALL):
        pass

    assert (opener.timeouts, stage.upstream.timeouts) == ([60.0], [58.0])


async def test_a_call_without_time_left_still_fails_with_an_error_of_its_own() -> None:
    stage = Stage()

    await stage.serve(replace(CALL, timeout_seconds=-1.0))

    assert stage.upstream.timeouts == [0.001]


async def test_the_head_of_the_answer_shows_listed_headers_only() -> None:
    headers = (("Content-Type", "text/plain"), ("Set-Cookie", "canary"), ("X-Request-Id", "r"))
    stage = Stage(FakeUpstream(b"", headers=headers))

    async with stage.relay.exchange(CALL) as exchange:
        assert exchange.headers == (("content-type", "text/plain"), ("x-request-id", "r"))
        assert exchange.openai_request_id == "r"


async def test_an_answer_in_an_encoding_that_nobody_asked_for_is_not_passed_on() -> None:
    headers = (("content-type", "application/json"), ("content-encoding", "br"))
    stage = Stage(FakeUpstream(b"canary", status=400, headers=headers))

    with pytest.raises(UpstreamUnavailableError):
        await stage.serve()

    assert stage.upstream.open_count == 0


async def test_an_error_event_in_a_stream_loses_its_echo_of_the_key() -> None:
    headers = (("content-type", "text/event-stream"),)
    event = b'data: {"error":{"message":"bad key sk-proj-abcd1234"}}\n\n'
    stage = Stage(FakeUpstream(event[:30], event[30:], headers=headers))

    assert await stage.serve() == b'data: {"error":{"message":"bad key [key]"}}\n\n'


async def test_a_large_body_is_read_as_a_small_one_is() -> None:
    body = b'{"model":"gpt-4o","x":"' + b"x" * 300_000 + b'"}'
    stage = Stage()

    await stage.serve(replace(CALL, body=body))

    assert [request.model for request in stage.leaser.requests] == ["gpt-4o"]


async def test_a_stream_is_made_to_tell_its_usage_without_the_app_noticing() -> None:
    events = (
        b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
        b"data: [DONE]\n\n"
    )
    body = b'{"model":"gpt-4o","stream":true}'
    stage = Stage(FakeUpstream(events, headers=(("content-type", "text/event-stream"),)))

    answer = await stage.serve(replace(CALL, body=body))

    assert answer == b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'
    [(request, _)] = stage.upstream.sent
    assert (
        request.body == b'{"stream_options":{"include_usage":true},"model":"gpt-4o","stream":true}'
    )
    [lease] = stage.leaser.requests
    assert lease.body_sha256 == hashlib.sha256(body).digest()
    [settlement] = stage.leaser.settlements
    assert (settlement.usage.input_tokens, settlement.usage.output_tokens) == (3, 1)


UPLOAD = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n'
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--\r\n'
)


async def _pieces(body: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def _upload(body: bytes = UPLOAD, endpoint: str = "audio/transcriptions") -> AppCall:
    return replace(
        CALL,
        endpoint=Endpoint.parse(endpoint),
        headers=(("content-type", "multipart/form-data; boundary=b"),),
        body=StreamedBody(_pieces(body), len(body)),
    )


async def test_an_upload_is_decided_by_its_model_and_streamed_byte_for_byte() -> None:
    stage = Stage()

    await stage.serve(_upload())

    [lease] = stage.leaser.requests
    assert (lease.model, lease.body_sha256) == ("whisper-1", b"")
    assert b"".join(stage.upstream.streamed) == UPLOAD
    [settlement] = stage.leaser.settlements
    assert settlement.body_sha256 == hashlib.sha256(UPLOAD).digest()


async def test_an_upload_that_names_a_model_where_none_is_taken_is_never_sent_whole() -> None:
    stage = Stage()

    with pytest.raises(InvalidFieldError):
        await stage.serve(_upload(endpoint="files"))

    assert len(b"".join(stage.upstream.streamed)) < len(UPLOAD)
    [settlement] = stage.leaser.settlements
    assert (settlement.outcome, settlement.body_sha256) == (LeaseOutcome.CANCELLED, b"")


async def test_the_key_is_used_where_the_lease_says_and_the_account_is_the_grants_choice() -> None:
    call = replace(CALL, headers=(*CALL.headers, ("openai-project", "p")))
    for may_choose in (False, True):
        lease = replace(LEASE, base_url="https://eu.example/v1", may_choose_account=may_choose)
        stage = Stage(lease=lease)
        await stage.serve(call)

        [(request, _)] = stage.upstream.sent
        assert request.base_url == "https://eu.example/v1"
        assert (("openai-project", "p") in request.headers) is may_choose
