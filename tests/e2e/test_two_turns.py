"""Two turns of two keys per request, in Vault's own log: one read, one decrypt, never a cache."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub
from keyturn_cli.local.layout import DEMO_APP
from tests.e2e.asking import SERVED, ask, ask_over_http
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.evidence import DECRYPT, GATEWAY, KEY_SERVICE, vault_operations
from tests.e2e.owners import OwnedKey, give_key, keep_key, unused_name

Surface = Callable[[Clients, str, str], Awaitable[None]]


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "two-turns"))


async def _typed(clients: Clients, key: str, request_id: str) -> None:
    assert await ask(clients, key, request_id=request_id) == SERVED


async def _typed_stream(clients: Clients, key: str, request_id: str) -> None:
    async with clients.gateway() as channel:
        call = ChatCompletionServiceStub(channel).StreamChatCompletion(
            chat_service_pb.StreamChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key, request_id),
        )
        assert [response async for response in call]


async def _pass_through(clients: Clients, key: str, request_id: str) -> None:
    request = pass_pb.UpstreamRequest(method="GET", path="models")
    async with clients.gateway() as channel:
        await PassThroughServiceStub(channel).Call(
            pass_pb.CallRequest(request=request),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key, request_id),
        )


async def _http(clients: Clients, key: str, request_id: str) -> None:
    assert await ask_over_http(clients, key, request_id=request_id) == SERVED


@pytest.mark.parametrize("surface", [_typed, _typed_stream, _pass_through, _http])
async def test_a_request_is_one_read_and_one_decrypt_under_one_lease(
    clients: Clients, key: OwnedKey, surface: Surface
) -> None:
    request_id = new_request_id()
    await surface(clients, key.name, request_id)

    read, decrypt = vault_operations(clients, request_id)
    record = key.name.replace("users/", "keyturn-kv/data/users/")
    assert (read.role, read.operation, read.path) == (KEY_SERVICE, "read", record)
    assert (decrypt.role, decrypt.operation, decrypt.path) == (GATEWAY, "update", DECRYPT)
    assert read.tags == decrypt.tags
    lease = read.tags.pop("lease")
    assert len(lease) == 32
    assert read.tags == {"request-id": request_id, "app": DEMO_APP, "key": key.name}


@pytest.mark.parametrize("surface", [_typed, _http])
async def test_the_same_request_again_is_read_and_decrypted_again(
    clients: Clients, key: OwnedKey, surface: Surface
) -> None:
    request_id = new_request_id()
    await surface(clients, key.name, request_id)
    await surface(clients, key.name, request_id)

    operations = vault_operations(clients, request_id)
    assert [o.role for o in operations] == [KEY_SERVICE, GATEWAY, KEY_SERVICE, GATEWAY]
    first, first_opened, second, second_opened = [o.tags["lease"] for o in operations]
    assert first == first_opened
    assert second == second_opened
    assert first != second


async def test_a_refused_request_is_one_read_and_no_decrypt(clients: Clients) -> None:
    kept = await keep_key(clients, "two-turns-refused")
    request_id = new_request_id()

    assert await ask(clients, kept.name, request_id=request_id) == "NOT_GRANTED"
    assert [o.role for o in vault_operations(clients, request_id)] == [KEY_SERVICE]


async def test_a_key_that_is_not_there_is_refused_as_one_without_a_grant(clients: Clients) -> None:
    request_id = new_request_id()

    missing = unused_name("never-made")
    assert await ask(clients, missing, request_id=request_id) == "NOT_GRANTED"
    assert [o.role for o in vault_operations(clients, request_id)] == [KEY_SERVICE]
