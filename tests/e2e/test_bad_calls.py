"""Bad input at the gateway, both surfaces: an error that names field and rule, and no lease."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from svc_runtime.error_details import metadata_of
from tests.e2e.asking import QUESTION
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.evidence import upstream_requests, vault_operations
from tests.e2e.owners import OwnedKey, give_key
from tests.e2e.violations import BODY, grpc_violation, http_violation, judged, raw_exchange

ELEVEN_MIB = b'{"model":"gpt-4o-mini","messages":[],"filler":"' + b"a" * 11 * 1024 * 1024 + b'"}'
BAD_NAMES = {
    "up to another folder": "users/../keys/x",
    "up from the keys": "users/alice/keys/..",
    "escaped dots": "users/alice/keys/%2e%2e",
    "one more segment": "users/alice/keys/a/b",
    "empty segment": "users//keys/x",
    "capitals": "users/alice/keys/X",
    "owner only": "users/alice",
    "very long": "users/alice/keys/" + "a" * 2000,
}
BAD_BODIES = {
    "nothing": (b"", "body", "names a model"),
    "no model": (b'{"messages":[]}', "model", "must name a model"),
    "an empty model": (b'{"model":"","messages":[]}', "model", "must name a model"),
    "null for a model": (b'{"model":null}', "model", "must name a model"),
    "a number for a model": (b'{"model":7}', "model", "must be a string"),
    "a list of models": (b'{"model":["gpt-4o"]}', "model", "must be a string"),
    "a long model": (b'{"model":"' + b"m" * 257 + b'"}', "model", "at most 256"),
    "a model with a line break": (b'{"model":"gpt\\n4o"}', "model", "printable"),
    "no json": (b"model=gpt-4o-mini", "body", "one JSON object"),
    "json cut short": (BODY[:-1], "body", "one JSON object"),
    "two objects": (BODY + BODY, "body", "one JSON object"),
    "a list": (b"[" + BODY + b"]", "body", "one JSON object"),
    "two models": (b'{"model":"gpt-4o","model":"o4"}', "body", "no name occurs twice"),
    "two models, one escaped": (b'{"model":"a","\\u006dodel":"b"}', "body", "occurs twice"),
    "twice further in": (b'{"model":"a","x":{"y":1,"y":2}}', "body", "no name occurs twice"),
    "not a number": (b'{"model":"gpt-4o","top_p":NaN}', "body", "one JSON object"),
    "utf-16": ('{"model":"gpt-4o"}'.encode("utf-16"), "body", "in UTF-8"),
    "nested without end": (b'{"model":' + b"[" * 100_000, "body", "one JSON object"),
}


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits, and is never used."""
    return asyncio.run(give_key(clients, "bad-calls"))


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
async def test_what_names_no_key_is_refused(clients: Clients, name: str) -> None:
    for field, rule in (
        await grpc_violation(clients, name),
        await http_violation(clients, name),
    ):
        assert field == "x-keyturn-key"
        assert "must be users/<id>/keys/<id>" in rule


async def test_a_name_in_other_letters_is_refused(clients: Clients) -> None:
    field, _ = await http_violation(clients, "users/\u0430lice/keys/x")

    assert field == "x-keyturn-key"


@pytest.mark.parametrize("name", [None, ""], ids=["missing", "empty"])
async def test_an_app_without_a_default_must_name_a_key(clients: Clients, name: str | None) -> None:
    for field, rule in (
        await grpc_violation(clients, name, app="other"),
        await http_violation(clients, name, app="other"),
    ):
        assert field == "x-keyturn-key"
        assert "must name the key to use" in rule


async def test_two_keys_are_refused(clients: Clients, key: OwnedKey) -> None:
    field, rule = await grpc_violation(clients, key.name, ("x-keyturn-key", key.name))

    assert (field, rule) == ("x-keyturn-key", "must be given once")


@pytest.mark.parametrize(("body", "field", "rule"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_that_policy_cannot_read_is_refused(
    clients: Clients, key: OwnedKey, body: bytes, field: str, rule: str
) -> None:
    for told_field, told_rule in (
        await grpc_violation(clients, key.name, body=body),
        await http_violation(clients, key.name, body=body),
    ):
        assert told_field == field
        assert rule in told_rule
    assert upstream_requests(clients, key.api_key) == []


def _declared(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def _chunked(body: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("framed", [_declared, _chunked])
async def test_a_body_of_eleven_mebibytes_is_refused(
    clients: Clients, key: OwnedKey, framed: Callable[[bytes], bytes]
) -> None:
    field, rule = await grpc_violation(clients, key.name, body=ELEVEN_MIB)
    assert (field, rule) == ("body", "must have at most 10 MiB")

    request_id = new_request_id()
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        f"X-Keyturn-Key: {key.name}",
        f"X-Keyturn-Request-Id: {request_id}",
        "Content-Type: application/json",
    )
    request = "".join(f"{line}\r\n" for line in lines).encode() + framed(ELEVEN_MIB)
    head, body = await raw_exchange(clients, request)
    assert b" 400 Bad Request" in head
    error = json.loads(body)["error"]
    assert (error["code"], error["param"]) == ("INVALID_ARGUMENT", "body")
    assert error["message"] == "body: must have at most 10 MiB"
    assert vault_operations(clients, request_id) == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonp", ""])
async def test_another_content_type_is_refused(
    clients: Clients, key: OwnedKey, content_type: str
) -> None:
    header = pass_pb.Header(name="content-type", value=content_type)
    for field, rule in (
        await grpc_violation(clients, key.name, headers=[header]),
        await http_violation(clients, key.name, content_type=content_type),
    ):
        assert field == "content-type"
        assert "must be application/json" in rule


@pytest.mark.parametrize("timeout", [None, 1000.0], ids=["missing", "too long"])
async def test_a_call_needs_a_deadline_in_bounds(
    clients: Clients,
    key: OwnedKey,
    timeout: float | None,  # noqa: ASYNC109 - gRPC's own, not asyncio's
) -> None:
    field, rule = await grpc_violation(clients, key.name, timeout=timeout)

    assert (field, rule) == ("grpc-timeout", "a deadline is required, at most 900 seconds")


@pytest.mark.parametrize("request_id", ["short", "with space", "a/../../b", "a" * 65])
async def test_a_malformed_request_id_is_refused(
    clients: Clients, key: OwnedKey, request_id: str
) -> None:
    field = "x-keyturn-request-id"
    async with clients.gateway() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ChatCompletionServiceStub(channel).CreateChatCompletion(
                chat_service_pb.CreateChatCompletionRequest(parameters=parameters()),
                timeout=DEADLINE_SECONDS,
                metadata=metadata(key.name, request_id),
            )
    assert judged(clients, caught.value, metadata_of(caught.value)["request_id"])[0] == field
    headers = dict(metadata(key.name, request_id))
    async with (
        clients.http(app="demo") as http,
        http.post("/v1/chat/completions", json=QUESTION, headers=headers) as answer,
    ):
        error = (await answer.json())["error"]
    assert (answer.status, error["param"]) == (400, field)
    assert vault_operations(clients, answer.headers[field]) == []


@pytest.mark.parametrize(
    ("extension", "field"),
    [
        ({"model": "o4"}, "parameters.extension"),
        ({"stream": True}, "parameters.extension"),
        ({"messages": []}, "parameters.extension"),
    ],
)
async def test_an_extension_cannot_say_again_what_has_a_field(
    clients: Clients, key: OwnedKey, extension: dict[str, Any], field: str
) -> None:
    wanted = parameters()
    wanted.extension.update(extension)
    request_id = new_request_id()
    async with clients.gateway() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ChatCompletionServiceStub(channel).CreateChatCompletion(
                chat_service_pb.CreateChatCompletionRequest(parameters=wanted),
                timeout=DEADLINE_SECONDS,
                metadata=metadata(key.name, request_id),
            )

    assert judged(clients, caught.value, request_id)[0] == field


async def test_a_typed_call_without_a_model_is_refused(clients: Clients, key: OwnedKey) -> None:
    request_id = new_request_id()
    async with clients.gateway() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ChatCompletionServiceStub(channel).CreateChatCompletion(
                chat_service_pb.CreateChatCompletionRequest(parameters=parameters(model="")),
                timeout=DEADLINE_SECONDS,
                metadata=metadata(key.name, request_id),
            )

    assert judged(clients, caught.value, request_id) == ("model", "must name a model")
