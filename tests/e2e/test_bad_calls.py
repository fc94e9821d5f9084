"""Bad input at the gateway, both surfaces: an error that names field and rule, and no lease."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import grpc
import pytest
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub
from yarl import URL

from svc_runtime.error_details import field_violation_of, metadata_of
from tests.e2e.asking import QUESTION
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.evidence import upstream_requests, vault_operations
from tests.e2e.owners import OwnedKey, give_key

BODY = json.dumps(QUESTION).encode()
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
    "eleven mebibytes": (ELEVEN_MIB, "body", "at most 10 MiB"),
}
BAD_PATHS = {
    "empty": "",
    "up": "../organization/api_keys",
    "up in the middle": "models/../files",
    "here": "./models",
    "escaped dots": "%2e%2e/models",
    "escaped slash": "chat%2fcompletions",
    "escaped twice": "chat%252fcompletions",
    "escaped backslash": "chat%5Ccompletions",
    "escaped line break": "models%0a",
    "escaped null byte": "models%00",
    "cut escape": "models%2",
    "not ascii": "mod\u00e8ls",
    "empty segment": "chat//completions",
    "slash before": "/models",
    "slash after": "models/",
    "very long": "a" * 257,
}


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits, and is never used."""
    return asyncio.run(give_key(clients, "bad-calls"))


async def _grpc_violation(
    clients: Clients,
    key: str | None,
    *more: tuple[str, str],
    app: str = "demo",
    timeout: float | None = DEADLINE_SECONDS,  # noqa: ASYNC109 - gRPC's own, not asyncio's
    **request: object,
) -> tuple[str, str]:
    """Return the field and the rule that a refused pass-through call names; nothing was leased."""
    request_id = new_request_id()
    wanted = {"method": "POST", "path": "chat/completions", "body": BODY, **request}
    async with clients.gateway(app=app) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await PassThroughServiceStub(channel).Call(
                pass_pb.CallRequest(request=pass_pb.UpstreamRequest(**wanted)),
                timeout=timeout,
                metadata=metadata(key, request_id, *more),
            )
    return _judged(clients, caught.value, request_id)


def _judged(clients: Clients, error: grpc.aio.AioRpcError, request_id: str) -> tuple[str, str]:
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert clients.reason(error) == "INVALID_ARGUMENT"
    assert vault_operations(clients, request_id) == []
    violation = field_violation_of(error)
    assert violation is not None
    return violation


async def _http_violation(
    clients: Clients,
    key: str | None,
    path: str = "chat/completions",
    *,
    body: object = BODY,
    content_type: str = "application/json",
    app: str = "demo",
) -> tuple[str, str]:
    """Return the field and the rule that a refused request names; nothing was leased."""
    request_id = new_request_id()
    headers = {**dict(metadata(key, request_id)), "content-type": content_type}
    port = clients.port("gateway", "http")
    url = URL(f"https://127.0.0.1:{port}/v1/{path}", encoded=True)
    async with clients.http(app=app) as http, http.post(url, data=body, headers=headers) as answer:
        error = (await answer.json())["error"]
    clients.keep(dict(answer.headers), error)
    assert answer.status == 400
    assert (error["type"], error["code"]) == ("invalid_request_error", "INVALID_ARGUMENT")
    assert answer.headers["x-keyturn-request-id"] == request_id
    assert vault_operations(clients, request_id) == []
    return error["param"], error["message"]


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
async def test_what_names_no_key_is_refused(clients: Clients, name: str) -> None:
    for field, rule in (
        await _grpc_violation(clients, name),
        await _http_violation(clients, name),
    ):
        assert field == "x-keyturn-key"
        assert "must be users/<id>/keys/<id>" in rule


async def test_a_name_in_other_letters_is_refused(clients: Clients) -> None:
    field, _ = await _http_violation(clients, "users/\u0430lice/keys/x")

    assert field == "x-keyturn-key"


@pytest.mark.parametrize("name", [None, ""], ids=["missing", "empty"])
async def test_an_app_without_a_default_must_name_a_key(clients: Clients, name: str | None) -> None:
    for field, rule in (
        await _grpc_violation(clients, name, app="other"),
        await _http_violation(clients, name, app="other"),
    ):
        assert field == "x-keyturn-key"
        assert "must name the key to use" in rule


async def test_two_keys_are_refused(clients: Clients, key: OwnedKey) -> None:
    field, rule = await _grpc_violation(clients, key.name, ("x-keyturn-key", key.name))

    assert (field, rule) == ("x-keyturn-key", "must be given once")


@pytest.mark.parametrize(("body", "field", "rule"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_that_policy_cannot_read_is_refused(
    clients: Clients, key: OwnedKey, body: bytes, field: str, rule: str
) -> None:
    for told_field, told_rule in (
        await _grpc_violation(clients, key.name, body=body),
        await _http_violation(clients, key.name, body=body),
    ):
        assert told_field == field
        assert rule in told_rule
    assert upstream_requests(clients, key.api_key) == []


async def test_a_body_that_does_not_say_its_size_may_not_grow_for_ever(
    clients: Clients, key: OwnedKey
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(ELEVEN_MIB), 64 * 1024):
            yield ELEVEN_MIB[start : start + 64 * 1024]

    field, rule = await _http_violation(clients, key.name, body=pieces())

    assert field == "body"
    assert "at most 10 MiB" in rule


@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data; boundary=x", "application/jsonp", ""]
)
async def test_another_content_type_is_refused(
    clients: Clients, key: OwnedKey, content_type: str
) -> None:
    header = pass_pb.Header(name="content-type", value=content_type)
    for field, rule in (
        await _grpc_violation(clients, key.name, headers=[header]),
        await _http_violation(clients, key.name, content_type=content_type),
    ):
        assert field == "content-type"
        assert "must be application/json" in rule


@pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS)
async def test_a_path_that_leads_elsewhere_is_refused(
    clients: Clients, key: OwnedKey, path: str
) -> None:
    field, rule = await _grpc_violation(clients, key.name, path=path)
    assert (field, rule[:32]) == ("request.path", "must be a path below /v1/ of at ")
    field, rule = await _http_violation(clients, key.name, path)
    assert field == "path"
    assert "must be a path below /v1/" in rule


@pytest.mark.parametrize("path", ["models?limit=1", "models#top", "a b", "models\r\nhost: x"])
async def test_what_is_more_than_a_path_is_refused(
    clients: Clients, key: OwnedKey, path: str
) -> None:
    field, _ = await _grpc_violation(clients, key.name, path=path)

    assert field == "request.path"


@pytest.mark.parametrize("query", ["a b", "a=1#top", "a=%2", "a=\r\nhost: x", "a=" + "b" * 8192])
async def test_what_is_no_query_is_refused(clients: Clients, key: OwnedKey, query: str) -> None:
    field, rule = await _grpc_violation(clients, key.name, query=query)

    assert field == "request.query"
    assert rule.startswith("must be a percent-encoded query")


@pytest.mark.parametrize("method", ["", "get", "TRACE", "CONNECT", "GET /v1/models HTTP/1.1\r\n"])
async def test_another_method_is_refused(clients: Clients, key: OwnedKey, method: str) -> None:
    field, rule = await _grpc_violation(clients, key.name, method=method)

    assert (field, rule) == ("request.method", "must be GET, POST, PUT, PATCH or DELETE")


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "cookie",
        "host",
        "openai-organization",
        "openai-project",
        "x-keyturn-key",
        "transfer-encoding",
        "content-length",
        "x-forwarded-for",
        "",
        "accept\r\nauthorization",
    ],
)
async def test_a_header_that_may_not_pass_is_refused(
    clients: Clients, key: OwnedKey, name: str
) -> None:
    header = pass_pb.Header(name=name, value="x")
    field, rule = await _grpc_violation(clients, key.name, headers=[header])

    assert (field, rule) == (
        "request.headers",
        "must name headers only that the gateway lets through",
    )


@pytest.mark.parametrize("value", ["a\r\nauthorization: x", "a\nb", "a\0b", "\u00e9", "a" * 4097])
async def test_a_headers_value_cannot_become_another_header(
    clients: Clients, key: OwnedKey, value: str
) -> None:
    header = pass_pb.Header(name="openai-beta", value=value)
    field, rule = await _grpc_violation(clients, key.name, headers=[header])

    assert field == "request.headers"
    assert "printable ASCII" in rule


@pytest.mark.parametrize("timeout", [None, 1000.0], ids=["missing", "too long"])
async def test_a_call_needs_a_deadline_in_bounds(
    clients: Clients,
    key: OwnedKey,
    timeout: float | None,  # noqa: ASYNC109 - gRPC's own, not asyncio's
) -> None:
    field, rule = await _grpc_violation(clients, key.name, timeout=timeout)

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
    assert _judged(clients, caught.value, metadata_of(caught.value)["request_id"])[0] == field
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
    clients: Clients, key: OwnedKey, extension: dict[str, object], field: str
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

    assert _judged(clients, caught.value, request_id)[0] == field


async def test_a_typed_call_without_a_model_is_refused(clients: Clients, key: OwnedKey) -> None:
    request_id = new_request_id()
    async with clients.gateway() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ChatCompletionServiceStub(channel).CreateChatCompletion(
                chat_service_pb.CreateChatCompletionRequest(parameters=parameters(model="")),
                timeout=DEADLINE_SECONDS,
                metadata=metadata(key.name, request_id),
            )

    assert _judged(clients, caught.value, request_id) == ("model", "must name a model")
