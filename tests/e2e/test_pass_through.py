"""The pass-through calls carry bytes, and nothing of the app's own but what may pass."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import grpc
import pytest

from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub
from keyturn_cli.standin.standin_keys import KeyKind
from svc_runtime.error_details import metadata_of
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import OwnedKey, give_key

# Bytes that no JSON library would write again as they are.
BODY = (
    b'{ "messages":[{"content" : "h\\u00e9llo \xc3\xa9", "role":"user"}],\r\n'
    b'\t"model": "gpt-4o-mini","top_p":1.0e0, "unknown_to_all" :null }\n'
)
STREAM_BODY = BODY.replace(b'"model"', b'"stream":true, "model"')


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "pass-through"))


async def _call(
    clients: Clients,
    key: OwnedKey,
    *more: tuple[str, str],
    **request: Any,  # noqa: ANN401 - as _request
) -> pass_pb.CallResponse:
    async with clients.gateway() as channel:
        response = await PassThroughServiceStub(channel).Call(
            pass_pb.CallRequest(request=_request(**request)),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key.name, None, *more),
        )
    clients.keep(response, response.body)
    return response


def _request(
    *,
    method: str = "POST",
    path: str = "chat/completions",
    query: str = "",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> pass_pb.UpstreamRequest:
    return pass_pb.UpstreamRequest(
        method=method,
        path=path,
        query=query,
        body=body,
        headers=[pass_pb.Header(name=name, value=value) for name, value in (headers or {}).items()],
    )


async def test_body_and_query_arrive_byte_by_byte_as_they_were_sent(
    clients: Clients, key: OwnedKey
) -> None:
    response = await _call(clients, key, body=BODY, query="a=%2F&b=%C3%A9&c[]=1")

    assert json.loads(response.body)["choices"][0]["message"]["content"] == "You said: héllo é"
    arrived = upstream_requests(clients, key.api_key)[-1]
    assert arrived.method == "POST"
    assert arrived.path == "/v1/chat/completions?a=%2F&b=%C3%A9&c[]=1"
    assert arrived.body_sha256 == hashlib.sha256(BODY).hexdigest()


async def test_only_headers_that_may_pass_arrive_and_the_key_is_the_only_credential(
    clients: Clients, key: OwnedKey
) -> None:
    passed = {
        "accept": "application/json",
        "content-type": "application/json; charset=utf-8",
        "idempotency-key": "order-7",
        "openai-beta": "assistants=v2",
        "user-agent": "till/1.0",
        "x-stainless-lang": "python",
    }
    token = clients.env["KEYTURN_APP_TOKEN"]
    credentials = (("authorization", f"Bearer {token}"), ("cookie", "session=of-the-app"))
    await _call(clients, key, *credentials, body=BODY, headers=passed)

    # Found by the hash of `Bearer <the key>`, so that is what its Authorization header said.
    arrived = upstream_requests(clients, key.api_key)[-1].headers
    assert {name: arrived[name] for name in passed} == passed
    of_the_connection = {"host", "accept-encoding", "content-length", "authorization"}
    assert set(arrived) == {*passed, *of_the_connection}
    assert arrived["accept-encoding"] == "identity"


async def test_a_body_without_a_content_type_is_sent_as_json(
    clients: Clients, key: OwnedKey
) -> None:
    await _call(clients, key, body=BODY)

    arrived = upstream_requests(clients, key.api_key)[-1].headers
    assert arrived["content-type"] == "application/json"
    assert "user-agent" not in arrived


async def test_the_answers_head_comes_without_what_says_whose_account_it_is(
    clients: Clients, key: OwnedKey
) -> None:
    response = await _call(clients, key, body=BODY)

    headers = {header.name: header.value for header in response.head.headers}
    assert response.head.status == 200
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-ratelimit-limit-requests"] == "10000"
    assert set(headers) - {name for name in headers if name.startswith("x-ratelimit-")} == {
        "content-length",
        "content-type",
        "openai-processing-ms",
        "openai-version",
        "x-request-id",
    }


async def test_a_streamed_answer_comes_head_first_and_without_the_usage_that_nobody_asked_for(
    clients: Clients, key: OwnedKey
) -> None:
    async with clients.gateway() as channel:
        call = PassThroughServiceStub(channel).StreamCall(
            pass_pb.StreamCallRequest(request=_request(body=STREAM_BODY)),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key.name),
        )
        parts = [part async for part in call]

    clients.keep(*parts)
    assert [part.WhichOneof("part") for part in parts] == ["head"] + ["body"] * (len(parts) - 1)
    assert parts[0].head.status == 200
    events = b"".join(part.body for part in parts[1:]).decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    deltas = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events[:-2]]
    assert "".join(d["delta"].get("content", "") for d in deltas) == "You said: héllo é"
    arrived = upstream_requests(clients, key.api_key)[-1]
    asking = STREAM_BODY.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
    assert arrived.body_sha256 == hashlib.sha256(asking).hexdigest()
    assert b'"usage"' not in b"".join(part.body for part in parts[1:])


async def test_embeddings_pass(clients: Clients, key: OwnedKey) -> None:
    body = b'{"model":"text-embedding-3-small","input":["a b","c"],"dimensions":3}'
    response = await _call(clients, key, path="embeddings", body=body)

    answer = json.loads(response.body)
    assert [len(item["embedding"]) for item in answer["data"]] == [3, 3]
    assert answer["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize(
    ("path", "query", "object_kind"),
    [("models", "limit=2", "list"), ("models/gpt-4o", "", "model"), ("models/a%2Db", "", "model")],
)
async def test_requests_without_a_body_pass(
    clients: Clients, key: OwnedKey, path: str, query: str, object_kind: str
) -> None:
    response = await _call(clients, key, method="GET", path=path, query=query)

    assert json.loads(response.body)["object"] == object_kind
    arrived = upstream_requests(clients, key.api_key)[-1]
    assert arrived.method == "GET"
    assert arrived.path == f"/v1/{path}" + (f"?{query}" if query else "")
    assert "content-type" not in arrived.headers


async def test_a_refusal_by_openai_is_an_answer(clients: Clients, key: OwnedKey) -> None:
    response = await _call(clients, key, body=BODY.replace(b"gpt-4o-mini", b"error-429"))

    assert response.head.status == 429
    assert {header.name: header.value for header in response.head.headers}["retry-after"] == "20"
    assert json.loads(response.body)["error"]["code"] == "rate_limit_exceeded"


async def test_an_error_body_that_repeats_part_of_a_key_is_rewritten(
    clients: Clients, key: OwnedKey
) -> None:
    body = BODY.replace(b"gpt-4o-mini", b"unknown-sk-proj-abcd1234")
    response = await _call(clients, key, body=body)

    assert response.head.status == 404
    assert "`unknown-[key]`" in json.loads(response.body)["error"]["message"]


async def test_a_refused_key_is_an_error_even_here_and_is_not_echoed(clients: Clients) -> None:
    revoked = await give_key(clients, "revoked", KeyKind.SOONREVOKED)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _call(clients, revoked, body=BODY)

    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert clients.reason(caught.value) == "KEY_REJECTED_UPSTREAM"
    told = f"{caught.value.details()}{caught.value.trailing_metadata()}{metadata_of(caught.value)}"
    assert revoked.api_key.expose()[-4:].decode() not in told
