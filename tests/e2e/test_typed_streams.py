"""Typed calls that are refused, and typed streams that are cancelled or cut off."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from svc_runtime.error_details import metadata_of
from tests.e2e.clients import Clients
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import OwnedKey, give_key
from tests.e2e.stream_control import standin
from tests.e2e.typed_calls import (
    CASES,
    RPCS,
    STREAMED,
    TRANSCRIPTIONS,
    call_rpc,
    messages_of,
    start_call,
)


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "typed-streams"))


@pytest.fixture(scope="module")
def elsewhere(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app for an endpoint that no test asks for."""
    return asyncio.run(give_key(clients, "typed-elsewhere", endpoints=["batches"]))


@pytest.fixture(scope="module")
def limited(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app for a model that no test asks for."""
    return asyncio.run(give_key(clients, "typed-limited", models=["o1"]))


@pytest.mark.parametrize("rpc", [*sorted(CASES.keys() - {"ListModels"}), *TRANSCRIPTIONS])
async def test_a_model_outside_of_the_grant_is_refused_before_openai(
    clients: Clients, limited: OwnedKey, rpc: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_rpc(clients, limited, rpc, *messages_of(rpc))

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert clients.reason(caught.value) == "MODEL_NOT_GRANTED"
    assert upstream_requests(clients, limited.api_key) == []


@pytest.mark.parametrize("rpc", sorted(RPCS))
async def test_an_endpoint_outside_of_the_grant_is_refused_before_openai(
    clients: Clients, elsewhere: OwnedKey, rpc: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_rpc(clients, elsewhere, rpc, *messages_of(rpc))

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert clients.reason(caught.value) == "ENDPOINT_NOT_GRANTED"
    assert upstream_requests(clients, elsewhere.api_key) == []


@pytest.mark.parametrize(
    ("rpc", "field"),
    [
        ("GetModel", "model"),
        ("DeleteModel", "model"),
        ("GetResponse", "response_id"),
        ("CancelResponse", "response_id"),
        ("DeleteResponse", "response_id"),
    ],
)
@pytest.mark.parametrize("unusable", ["", "..", "a/../b", "a?b", "a%2Fb"])
async def test_an_id_that_could_name_another_path_is_refused(
    clients: Clients, key: OwnedKey, rpc: str, field: str, unusable: str
) -> None:
    before = upstream_requests(clients, key.api_key)
    (request,) = messages_of(rpc)
    setattr(request, field, unusable)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_rpc(clients, key, rpc, request)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"{field}: " in str(caught.value.details())
    assert upstream_requests(clients, key.api_key) == before


@pytest.mark.parametrize("rpc", STREAMED)
async def test_a_cancelled_stream_ends_the_request_to_openai(
    clients: Clients, key: OwnedKey, rpc: str
) -> None:
    async with standin(clients) as openai, clients.gateway() as channel:
        call = start_call(channel, key, rpc, *messages_of(rpc, "gpt-4o-paced"))
        await openai.release()
        clients.keep(await anext(aiter(call)))
        assert (await openai.progress())["open_requests"] == 1
        call.cancel()
        counts = await openai.until(lambda counts: counts["open_requests"] == 0)

    assert (counts["events"], counts["aborted"]) == (1, 1)


@pytest.mark.parametrize("rpc", STREAMED)
async def test_a_stream_that_is_cut_off_ends_in_an_error(
    clients: Clients, key: OwnedKey, rpc: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_rpc(clients, key, rpc, *messages_of(rpc, "gpt-4o-cut"))

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert clients.reason(caught.value) == "UPSTREAM_UNAVAILABLE"


@pytest.mark.parametrize("rpc", ["StreamChatCompletion", "StreamResponse"])
async def test_a_stream_that_openai_breaks_off_tells_why_without_the_key(
    clients: Clients, key: OwnedKey, rpc: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_rpc(clients, key, rpc, *messages_of(rpc, "gpt-4o-echo"))

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert clients.reason(caught.value) == "UPSTREAM_REFUSED"
    assert metadata_of(caught.value)["message"]
    told = f"{caught.value.details()}{caught.value.trailing_metadata()}{metadata_of(caught.value)}"
    assert key.api_key.expose()[-4:].decode() not in told
