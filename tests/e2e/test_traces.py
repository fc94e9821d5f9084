"""One trace of one call: the app, the gateway, the key service, Vault and OpenAI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn_cli.local.layout import OWNER
from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import OwnedKey, give_key
from tests.live_files import whole_lines
from tests.otlp_receiver import OTLPReceiver, ReceivedSpan, receiving

PROMPT = "the-prompt-that-no-span-may-hold"
MODEL = "gpt-4o-mini"
SETTLED = "keyvault-svc SERVER keyturn.keyvault.v1.KeyLeaseService/SettleLease"
LEASED: dict[str, Any] = {
    "gateway-svc CLIENT keyturn.keyvault.v1.KeyLeaseService/AcquireLease": {
        "keyvault-svc SERVER keyturn.keyvault.v1.KeyLeaseService/AcquireLease": {
            "keyvault-svc CLIENT kv.read": {},
            "keyvault-svc CLIENT kv.read 2": {},
        }
    },
    "gateway-svc CLIENT transit.decrypt": {},
    "gateway-svc INTERNAL keyturn.settle_leases": {
        "gateway-svc CLIENT keyturn.keyvault.v1.KeyLeaseService/SettleLease": {SETTLED: {}}
    },
}
Tree = dict[str, Any]
Headers = dict[str, str]
Way = Callable[["Traced", Headers], Awaitable[None]]


@dataclass(frozen=True)
class Traced:
    """A stack that is traced, and an app with a tracer of its own."""

    clients: Clients
    receiver: OTLPReceiver
    tracer: Tracer
    key: OwnedKey

    async def call(self, way: Way) -> list[ReceivedSpan]:
        """Call as a part of a span of the app's; return the spans of the trace."""
        headers: Headers = {}
        with self.tracer.start_as_current_span("app call") as span:
            TraceContextTextMapPropagator().inject(headers)
            trace = f"{span.get_span_context().trace_id:032x}"
            await way(self, headers)

        def is_whole(spans: Sequence[ReceivedSpan]) -> bool:
            # Each process sends its own: the last to come may be any of them.
            mine = [span for span in spans if span.trace == trace]
            ids = {span.span for span in mine}
            are_joined = all(span.parent in ids for span in mine if span.parent)
            return are_joined and any(_label(span) == SETTLED for span in mine)

        spans = await asyncio.to_thread(self.receiver.wait_for, is_whole)
        return [span for span in spans if span.trace == trace]


@pytest.fixture(scope="module", name="receiver")
def _receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OTLPReceiver]:
    with receiving(tmp_path_factory.mktemp("collector")) as receiver:
        yield receiver


@pytest.fixture(scope="module", name="traced")
def _traced(
    tmp_path_factory: pytest.TempPathFactory,
    canary_key: SecretBytes,
    transcript: list[str],
    receiver: OTLPReceiver,
) -> Iterator[Traced]:
    home = tmp_path_factory.mktemp("traced-stack") / "home"
    stack = LocalStack(home, Upstream(None, canary_key, "standin"))
    stack.variant = Variant(
        telemetry={
            "otlp_endpoint": receiver.endpoint,
            "otlp_ca_file": str(receiver.ca_file),
            "trace_ratio": 1.0,
        }
    )
    provider = TracerProvider(resource=Resource({"service.name": "app"}), shutdown_on_exit=False)
    credentials = grpc.ssl_channel_credentials(receiver.ca_file.read_bytes())
    exporter = OTLPSpanExporter(receiver.endpoint, credentials=credentials)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with stack:
        clients = Clients(stack, transcript)
        key = asyncio.run(give_key(clients, "traced"))
        yield Traced(clients, receiver, provider.get_tracer("app"), key)
    provider.shutdown()


async def _by_grpc(traced: Traced, headers: Headers) -> None:
    async with traced.clients.gateway() as channel:
        request = chat_service_pb.CreateChatCompletionRequest(parameters=parameters(PROMPT, MODEL))
        await ChatCompletionServiceStub(channel).CreateChatCompletion(
            request,
            timeout=DEADLINE_SECONDS,
            metadata=metadata(traced.key.name, None, *headers.items()),
        )


async def _by_events(traced: Traced, headers: Headers) -> None:
    question = {
        "model": MODEL,
        "stream": True,
        "messages": [{"role": "user", "content": PROMPT}],
    }
    async with (
        traced.clients.http(app="demo") as http,
        http.post(
            "/v1/chat/completions",
            json=question,
            headers={"x-keyturn-key": traced.key.name, **headers},
        ) as response,
    ):
        assert PROMPT in await response.text()


async def _by_websocket(traced: Traced, headers: Headers) -> None:
    item = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": PROMPT}],
    }
    async with (
        traced.clients.http(app="demo") as http,
        http.ws_connect(
            "/v1/realtime?model=gpt-realtime",
            headers={"x-keyturn-key": traced.key.name, **headers},
        ) as socket,
    ):
        await socket.send_json({"type": "conversation.item.create", "item": item})
        await socket.send_json({"type": "response.create"})
        while (await socket.receive_json())["type"] != "response.done":
            pass


def _label(span: ReceivedSpan) -> str:
    return f"{span.service} {span.kind.removeprefix('SPAN_KIND_')} {span.name}"


def _tree(spans: Sequence[ReceivedSpan], parent: str = "") -> Tree:
    """Return the spans below *parent*, each with those below it; a second of its kind with a 2."""
    tree: Tree = {}
    for span in spans:
        if span.parent == parent:
            label = _label(span)
            tree[f"{label} 2" if label in tree else label] = _tree(spans, span.span)
    return tree


def _one(spans: Sequence[ReceivedSpan], label: str) -> ReceivedSpan:
    (span,) = [span for span in spans if _label(span) == label]
    return span


@pytest.mark.parametrize(
    ("way", "served", "asked"),
    [
        (
            _by_grpc,
            "SERVER keyturn.gateway.v1.ChatCompletionService/CreateChatCompletion",
            f"CLIENT chat {MODEL}",
        ),
        (_by_events, "SERVER POST /v1/chat/completions", f"CLIENT chat {MODEL}"),
        (_by_websocket, "SERVER GET /v1/realtime", "CLIENT realtime gpt-realtime"),
    ],
)
async def test_one_trace_shows_app_gateway_key_service_vault_and_openai(
    traced: Traced, way: Way, served: str, asked: str
) -> None:
    spans = await traced.call(way)

    below = {**LEASED, f"gateway-svc {asked}": {}}
    assert _tree(spans) == {"app INTERNAL app call": {f"gateway-svc {served}": below}}
    assert [span for span in spans if span.is_failed] == []


@pytest.mark.parametrize("way", [_by_grpc, _by_events, _by_websocket])
async def test_no_span_holds_a_key_a_prompt_or_a_name(
    traced: Traced, way: Way, canary_key: SecretBytes
) -> None:
    spans = await traced.call(way)

    env = traced.clients.env
    never = [
        canary_key.expose(),
        traced.key.api_key.expose(),
        PROMPT.encode(),
        OWNER.encode(),
        b"traced",  # the key's id
        b"users/",
        b"spiffe://",
        b"You said",
        b"vault:v",
        env["KEYTURN_APP_TOKEN"].encode(),
        env["KEYTURN_OWNER_TOKEN"].encode(),
    ]
    assert len(spans) >= len(LEASED)
    assert [(span.name, word) for span in spans for word in never if word in span.wire] == []


async def test_the_span_of_a_model_says_what_it_took_and_how_it_ended(traced: Traced) -> None:
    spans = await traced.call(_by_events)

    about = _one(spans, f"gateway-svc CLIENT chat {MODEL}").attributes
    lease = _one(spans, "gateway-svc SERVER POST /v1/chat/completions").attributes[
        "keyturn.lease_id"
    ]
    first_chunk = about.pop("gen_ai.response.time_to_first_chunk")
    assert 0 < first_chunk < DEADLINE_SECONDS
    assert about.pop("gen_ai.response.id").startswith("chatcmpl")
    assert about.pop("keyturn.openai_request_id")
    assert about.pop("gen_ai.usage.input_tokens") > 0
    assert about.pop("gen_ai.usage.output_tokens") > 0
    assert about == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.stream": True,
        "gen_ai.response.model": MODEL,
        "gen_ai.response.finish_reasons": ["stop"],
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "keyturn.lease_id": lease,
        "openai.api.type": "chat_completions",
        "server.address": "127.0.0.1",
        "server.port": traced.clients.stack.ports["openai-standin"],
    }


async def test_a_span_of_vault_says_what_was_asked_and_names_no_path(traced: Traced) -> None:
    spans = await traced.call(_by_grpc)

    decrypt = _one(spans, "gateway-svc CLIENT transit.decrypt").attributes
    assert decrypt == {
        "keyturn.vault.operation": "transit.decrypt",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": traced.clients.stack.ports["vault"],
    }


async def test_what_a_realtime_session_took_stands_in_its_span(traced: Traced) -> None:
    spans = await traced.call(_by_websocket)

    about = _one(spans, "gateway-svc CLIENT realtime gpt-realtime").attributes
    assert about["http.response.status_code"] == 101
    assert about["gen_ai.usage.input_tokens"] > 0


async def test_both_services_log_the_traces_id(traced: Traced) -> None:
    spans = await traced.call(_by_grpc)

    logs = traced.clients.stack.layout.logs_dir
    for service in ("gateway-svc", "keyvault-svc"):
        lines = [json.loads(line) for line in whole_lines(logs / f"{service}.log")]
        mine = [line for line in lines if line.get("trace_id") == spans[0].trace]
        assert "rpc" in {line["event"] for line in mine}


async def test_openai_sees_nothing_of_the_trace(traced: Traced) -> None:
    await traced.call(_by_events)

    requests = upstream_requests(traced.clients, traced.key.api_key)
    names = {name for request in requests for name in request.headers}
    assert names
    assert names & {"traceparent", "tracestate", "baggage"} == set()


async def test_a_refusal_is_no_fault_and_says_why(traced: Traced) -> None:
    async def ask_with_no_key(traced: Traced, headers: Headers) -> None:
        with pytest.raises(AssertionError):
            await _by_events(Traced(traced.clients, traced.receiver, traced.tracer, other), headers)

    other = OwnedKey(f"users/{OWNER}/keys/never-made", traced.key.api_key)
    headers: Headers = {}
    with traced.tracer.start_as_current_span("app call") as span:
        TraceContextTextMapPropagator().inject(headers)
        trace = f"{span.get_span_context().trace_id:032x}"
        await ask_with_no_key(traced, headers)

    def has_all(spans: Sequence[ReceivedSpan]) -> bool:
        return len([s for s in spans if s.trace == trace]) >= 6

    everything = await asyncio.to_thread(traced.receiver.wait_for, has_all)
    spans = [span for span in everything if span.trace == trace]
    served = _one(spans, "gateway-svc SERVER POST /v1/chat/completions")
    assert served.attributes["keyturn.reason"] == "NOT_GRANTED"
    assert served.attributes["http.response.status_code"] == 403
    assert not served.is_failed
    assert not any(span.name.startswith("chat ") for span in spans)


async def test_a_caller_that_samples_nothing_is_traced_nowhere(traced: Traced) -> None:
    trace = new_request_id()
    await _by_grpc(traced, {"traceparent": f"00-{trace}-b7ad6b7169203331-00"})
    await traced.call(_by_grpc)  # what came before it has arrived by now

    assert [span for span in traced.receiver.spans if span.trace == trace] == []


@pytest.mark.parametrize("value", ["nonsense", "00-0-0-01", "x" * 4000])
async def test_a_malformed_context_is_no_error(traced: Traced, value: str) -> None:
    headers = {"traceparent": value, "tracestate": value, "baggage": f"owner={OWNER}"}

    await _by_grpc(traced, headers)
    await _by_events(traced, headers)


async def test_a_verification_is_a_trace_of_its_own(traced: Traced) -> None:
    def verified(spans: Sequence[ReceivedSpan]) -> bool:
        return any(span.name == "keyturn.verify_key" for span in spans)

    spans = await asyncio.to_thread(traced.receiver.wait_for, verified)
    trace = next(span.trace for span in spans if span.name == "keyturn.verify_key")
    mine = [span for span in spans if span.trace == trace]

    (below,) = _tree(mine).values()
    assert {
        "gateway-svc CLIENT transit.decrypt",
        "gateway-svc CLIENT GET",
        f"gateway-svc CLIENT chat {MODEL}",
        "gateway-svc CLIENT keyturn.keyvault.v1.KeyVerificationService/ReportVerification",
    } <= below.keys()


async def test_polls_for_work_are_not_traced(traced: Traced) -> None:
    await traced.call(_by_grpc)

    names = {span.name for span in traced.receiver.spans}
    assert not any(name.endswith("/ClaimVerification") for name in names)


async def test_no_call_waits_for_a_receiver_that_hangs(traced: Traced) -> None:
    with traced.receiver.hanging():
        await _by_grpc(traced, {})
        await asyncio.to_thread(traced.receiver.arrived.wait)
        for way in (_by_grpc, _by_events, _by_websocket):
            await way(traced, {})

        assert traced.receiver.is_waited_for
