"""What is seen of a request to OpenAI, and what is not."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from yarl import URL

from gateway_svc.domain.errors import UpstreamTimedOutError, UpstreamUnavailableError
from gateway_svc.domain.headers import Headers
from gateway_svc.domain.live_ports import LiveClose, LiveSide
from gateway_svc.domain.relay import Relay
from gateway_svc.domain.upstream_ports import Upstream, UpstreamRequest
from gateway_svc.openai_api.traced_upstream import TracedLiveUpstream, TracedUpstream
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from svc_runtime.telemetry.spans import server_span
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_upstream import FakeUpstream
from tests.span_tape import SpanTape, taping
from tests.unit.gateway_svc.relay_stage import API_KEY, CALL, Stage

HOST = URL("https://eu.api.openai.com/v1/chat/completions?secret=query")
EVENTS = (("content-type", "text/event-stream"),)
SAID = "the answer that no span may hold"
NOT_SAMPLED = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),)


def _event(**fields: object) -> bytes:
    event = {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": [], **fields}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _choice(text: str, reason: str | None = None) -> list[dict[str, object]]:
    return [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]


ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "model": "gpt-4o-2024-08-06",
        "choices": [{"message": {"content": SAID}, "finish_reason": "length"}],
        "usage": {
            "prompt_tokens": 11,
            "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }
).encode()


def _relay(upstream: Upstream, clock: FakeClock | None = None) -> Relay:
    stage = Stage()
    traced = TracedUpstream(upstream, lambda _: HOST, clock or FakeClock())
    return Relay(stage.leaser, stage.opener, traced, stage.clock)


async def _serve(relay: Relay, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """Serve one call inside of a span; return what the app gets."""
    with server_span("serve", headers):
        async with relay.exchange(CALL) as exchange:
            return b"".join([piece async for piece in exchange.body()])


def _asked(tape: SpanTape) -> ReadableSpan:
    (span,) = [span for span in tape.spans if span.name != "serve"]
    return span


def _about(tape: SpanTape) -> dict[str, Any]:
    return dict(_asked(tape).attributes or {})


async def test_a_whole_answer_tells_model_tokens_and_why_it_ended() -> None:
    with taping() as tape:
        await _serve(_relay(FakeUpstream(ANSWER)))

    assert _asked(tape).name == "chat gpt-4o"
    assert _about(tape) == {
        "gen_ai.provider.name": "openai",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": False,
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "openai.api.type": "chat_completions",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "keyturn.lease_id": "0" * 32,
        "server.address": "eu.api.openai.com",
        "server.port": 443,
        "keyturn.openai_request_id": "req-openai",
    }


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-2024-08-06", "chat gpt-4o"),
        ("ft:gpt-4o-mini-2024-07-18:acme::A1b2", "chat"),
        ("made-up-0001x", "chat"),
    ],
)
async def test_a_model_that_an_app_made_up_names_no_span(model: str, name: str) -> None:
    body = json.dumps({"model": model, "messages": []}).encode()
    relay = _relay(FakeUpstream(ANSWER))
    with taping() as tape, server_span("serve", ()):
        async with relay.exchange(replace(CALL, body=body)) as exchange:
            assert [piece async for piece in exchange.body()]

    assert _asked(tape).name == name
    assert _about(tape)["gen_ai.request.model"] == model


async def test_an_encoded_answer_is_understood_and_passes_as_it_came() -> None:
    encoded = gzip.compress(ANSWER)
    headers = (("content-type", "application/json"), ("content-encoding", "gzip"))
    with taping() as tape:
        passed = await _serve(_relay(FakeUpstream(encoded, headers=headers)))

    assert passed == encoded
    assert _about(tape)["gen_ai.response.finish_reasons"] == ("length",)


async def test_a_stream_tells_when_its_first_event_came() -> None:
    clock = FakeClock()

    class Slow(FakeUpstream):
        async def _body(self) -> AsyncIterator[bytes]:
            clock.advance(1.5)
            yield _event(choices=_choice(SAID))
            clock.advance(10)
            yield _event(choices=_choice("", "stop"))
            yield _event(usage={"prompt_tokens": 5, "completion_tokens": 9})

    with taping() as tape:
        await _serve(_relay(Slow(headers=EVENTS), clock))

    about = _about(tape)
    assert about["gen_ai.request.stream"] is True
    assert about["gen_ai.response.time_to_first_chunk"] == 1.5
    assert about["gen_ai.response.finish_reasons"] == ("stop",)
    assert about["gen_ai.usage.output_tokens"] == 9
    assert [event.name for event in _asked(tape).events] == ["gen_ai.first_chunk"]


@pytest.mark.parametrize("cut", range(1, 40, 3))
async def test_why_it_ended_is_seen_wherever_the_answer_is_cut(cut: int) -> None:
    begin = ANSWER.index(b'"finish_reason"') + cut - 5
    with taping() as tape:
        await _serve(_relay(FakeUpstream(ANSWER[:begin], ANSWER[begin:])))

    assert _about(tape)["gen_ai.response.finish_reasons"] == ("length",)


async def test_text_that_looks_like_an_end_is_none() -> None:
    text = json.dumps({"content": '"finish_reason": "content_filter"'}).encode()
    with taping() as tape:
        await _serve(_relay(FakeUpstream(text)))

    assert "gen_ai.response.finish_reasons" not in _about(tape)


async def test_nothing_of_prompt_answer_key_or_query_is_seen() -> None:
    with taping() as tape:
        await _serve(_relay(FakeUpstream(ANSWER)))

    seen = "".join(span.to_json() for span in tape.spans)
    assert "chat gpt-4o" in seen
    never = [SAID, API_KEY.expose().decode(), "secret=query", str(CALL.key), str(CALL.app)]
    assert [word for word in never if word in seen] == []


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (UpstreamUnavailableError(), UpstreamUnavailableError.reason),
        (UpstreamTimedOutError(), UpstreamTimedOutError.reason),
    ],
)
@pytest.mark.parametrize("is_late", [False, True])
async def test_an_upstream_that_fails_is_told_by_the_reason(
    error: ServiceError, word: str, *, is_late: bool
) -> None:
    upstream = FakeUpstream(error) if is_late else FakeUpstream(refuses_connection=error)
    with taping() as tape, pytest.raises(type(error)):
        await _serve(_relay(upstream))

    assert _about(tape)["error.type"] == word


async def test_an_error_of_openai_is_told_by_its_status() -> None:
    with taping() as tape:
        await _serve(_relay(FakeUpstream(b'{"error":{"message":"x"}}', status=429)))

    about = _about(tape)
    assert (about["http.response.status_code"], about["error.type"]) == (429, "429")
    assert not _asked(tape).status.is_ok


async def test_an_app_that_goes_away_is_told_as_cancelled() -> None:
    relay = _relay(FakeUpstream(ANSWER, ANSWER))
    with taping() as tape, server_span("serve", ()):
        exchanges = relay.exchange(CALL)
        await exchanges.__aenter__()
        await exchanges.gen.aclose()  # what an abandoned call ends by

    assert _about(tape)["error.type"] == "cancelled"


async def test_a_request_to_no_model_is_named_by_its_method() -> None:
    request = replace(CALL, method="GET", endpoint=type(CALL.endpoint).parse("files/file-1"))
    relay = _relay(FakeUpstream(b"{}"))
    with taping() as tape, server_span("serve", ()):
        async with relay.exchange(replace(request, body=b"")) as exchange:
            assert [piece async for piece in exchange.body()]

    assert _asked(tape).name == "GET"
    assert "gen_ai.operation.name" not in _about(tape)
    assert "file-1" not in _asked(tape).to_json()


async def test_without_a_span_around_it_a_request_is_served_and_not_watched() -> None:
    upstream = FakeUpstream(ANSWER)
    with taping() as tape:
        passed = await _serve(_relay(upstream), NOT_SAMPLED)

    assert passed == ANSWER
    assert tape.spans == []
    assert [key for _, key in upstream.sent] == [API_KEY]


class _FakeLive:
    """`LiveUpstream` whose other side says what it was given, and closes."""

    def __init__(self, *messages: str) -> None:
        self._messages = [*messages]

    @asynccontextmanager
    async def connect(
        self,
        request: UpstreamRequest,
        subprotocols: Sequence[str],
        api_key: SecretBytes,
        timeout_seconds: float,
    ) -> AsyncIterator[tuple[LiveSide, str, Headers]]:
        del request, subprotocols, api_key, timeout_seconds
        yield self, "realtime", (("x-request-id", "req-live"),)

    async def receive(self) -> str | bytes | LiveClose:
        return self._messages.pop(0) if self._messages else LiveClose(1000)

    async def send(self, message: str | bytes) -> None:
        self._messages.append(str(message))

    async def close(self, close: LiveClose) -> None:
        self._messages.append(close.reason)


async def test_a_realtime_session_tells_the_sum_of_what_its_answers_took() -> None:
    done = json.dumps(
        {"type": "response.done", "response": {"usage": {"input_tokens": 4, "output_tokens": 6}}}
    )
    live = TracedLiveUpstream(_FakeLive(done, SAID, done), lambda _: HOST)
    request = UpstreamRequest(
        "GET", CALL.endpoint, "", (), b"", model="gpt-realtime", lease_id="1" * 32
    )
    with taping() as tape, server_span("serve", ()):
        async with live.connect(request, (), API_KEY, 1.0) as (side, subprotocol, _):
            while not isinstance(await side.receive(), LiveClose):
                pass

    about = _about(tape)
    assert subprotocol == "realtime"
    assert _asked(tape).name == "realtime gpt-realtime"
    assert (about["gen_ai.usage.input_tokens"], about["gen_ai.usage.output_tokens"]) == (8, 12)
    assert about["http.response.status_code"] == 101
    assert SAID not in _asked(tape).to_json()
