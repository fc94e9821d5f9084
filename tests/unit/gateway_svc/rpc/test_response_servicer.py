from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from keyturn.gateway.v1 import response_service_pb2 as response_service_pb
from keyturn.gateway.v1.response_service_pb2_grpc import ResponseServiceStub
from svc_runtime.error_details import reason_of
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.rpc.rpc_stage import EVENT_STREAM, call, events, serving, sse

PARAMETERS = response_service_pb.ResponseParameters(model="gpt-4o", input="hi")
CREATE = response_service_pb.CreateResponseRequest(parameters=PARAMETERS)
STREAM = response_service_pb.StreamResponseRequest(parameters=PARAMETERS)
USAGE = '"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}'


async def test_a_response_is_created_by_a_post_and_filled_from_the_answer() -> None:
    upstream = FakeUpstream(f'{{"id":"resp_1","store":true,{USAGE}}}'.encode())
    async with serving(upstream) as channel:
        answer = await call(ResponseServiceStub(channel).CreateResponse, CREATE)

    ((request, _),) = upstream.sent
    assert (request.method, request.endpoint.raw) == ("POST", "responses")
    assert request.body == b'{"model": "gpt-4o", "input": "hi"}'
    assert ("content-type", "application/json") in request.headers
    assert (answer.response.id, answer.response.usage.total_tokens) == ("resp_1", 5)
    assert answer.response.extension["store"] is True


async def test_a_stream_is_asked_for_and_each_event_becomes_a_message() -> None:
    data = ['{"type":"response.created"}', '{"type":"response.completed","response":{"id":"r"}}']
    upstream = FakeUpstream(*sse(*data), headers=EVENT_STREAM)
    async with serving(upstream) as channel:
        answers = await events(ResponseServiceStub(channel).StreamResponse, STREAM)

    ((request, _),) = upstream.sent
    assert isinstance(request.body, bytes)
    assert json.loads(request.body) == {"model": "gpt-4o", "input": "hi", "stream": True}
    assert [answer.event.type for answer in answers] == ["response.created", "response.completed"]
    assert answers[-1].event.response.id == "r"


@pytest.mark.parametrize("ending", ["completed", "failed", "incomplete", "cancelled"])
async def test_each_final_event_ends_a_stream_well(ending: str) -> None:
    upstream = FakeUpstream(*sse(f'{{"type":"response.{ending}"}}'), headers=EVENT_STREAM)
    async with serving(upstream) as channel:
        answers = await events(ResponseServiceStub(channel).StreamResponse, STREAM)

    assert [answer.event.type for answer in answers] == [f"response.{ending}"]


async def test_a_stream_without_a_final_event_was_cut_off() -> None:
    upstream = FakeUpstream(*sse('{"type":"response.in_progress"}'), headers=EVENT_STREAM)
    async with serving(upstream) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await events(ResponseServiceStub(channel).StreamResponse, STREAM)

    assert reason_of(caught.value) == "UPSTREAM_UNAVAILABLE"


@pytest.mark.parametrize("rpc", ["CreateResponse", "StreamResponse"])
async def test_an_extension_must_not_say_whether_to_stream(rpc: str) -> None:
    asking: Any = type(CREATE if rpc == "CreateResponse" else STREAM)(parameters=PARAMETERS)
    asking.parameters.extension.update({"stream": True})
    upstream = FakeUpstream(b"{}")
    async with serving(upstream) as channel:
        ask = getattr(ResponseServiceStub(channel), rpc)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (call(ask, asking) if rpc == "CreateResponse" else events(ask, asking))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "parameters.extension" in str(caught.value.details())
    assert upstream.sent == []


@pytest.mark.parametrize(
    ("include", "query"),
    [
        ([], ""),
        (["reasoning.encrypted_content"], "include%5B%5D=reasoning.encrypted_content"),
        (["a&model=x", "b"], "include%5B%5D=a%26model%3Dx&include%5B%5D=b"),
    ],
)
async def test_what_to_include_goes_into_the_query_and_cannot_add_to_it(
    include: list[str], query: str
) -> None:
    upstream = FakeUpstream(b'{"id":"resp_1"}')
    asking = response_service_pb.GetResponseRequest(response_id="resp_1", include=include)
    async with serving(upstream) as channel:
        answer = await call(ResponseServiceStub(channel).GetResponse, asking)

    ((request, _),) = upstream.sent
    assert (request.method, request.endpoint.raw) == ("GET", "responses/resp_1")
    assert (request.query, request.body) == (query, b"")
    assert answer.response.id == "resp_1"


async def test_a_kept_response_is_deleted_and_cancelled_without_a_body() -> None:
    upstream = FakeUpstream(b'{"id":"resp_1","deleted":true,"status":"cancelled"}')
    async with serving(upstream) as channel:
        stub = ResponseServiceStub(channel)
        deleted = await call(
            stub.DeleteResponse, response_service_pb.DeleteResponseRequest(response_id="resp_1")
        )
        cancelled = await call(
            stub.CancelResponse, response_service_pb.CancelResponseRequest(response_id="resp_1")
        )

    assert [(request.method, request.endpoint.raw) for request, _ in upstream.sent] == [
        ("DELETE", "responses/resp_1"),
        ("POST", "responses/resp_1/cancel"),
    ]
    assert [request.body for request, _ in upstream.sent] == [b"", b""]
    assert deleted.deleted.deleted
    assert cancelled.response.status == "cancelled"
