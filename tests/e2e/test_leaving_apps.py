"""Apps that go away while the key service's answer is on its way: nothing stays reserved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Final

import pytest

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from tests.e2e.balancer import Balancer
from tests.e2e.breaking import logged, until
from tests.e2e.budget_limits import AMPLE, TOKENS, limits_of, same_day, settled, standing
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.open_load import Way, grpc_app, http_app
from tests.e2e.owners import OwnedKey, alice, give_key
from tests.e2e.pods import Deployment
from tests.tcp_relay import TcpRelay

_SETTINGS: Final = {"connection_seconds": 1.5, "drain_seconds": 1}


@dataclass
class Far:
    """A gateway whose way to the key service can be made long.

    Attributes:
        relay: Stands on that way.
        gateway: Its one pod.
        way: How apps find it.
    """

    clients: Clients
    relay: TcpRelay
    gateway: Deployment
    way: Way


@pytest.fixture
async def far(clients: Clients) -> AsyncIterator[Far]:
    await same_day()
    async with TcpRelay(clients.port("keyvault", "gateway")) as relay:
        await relay.open()
        target = f"ipv4:127.0.0.1:{relay.port}"
        gateway = Deployment(clients, "gateway", _SETTINGS, target=target)
        try:
            await gateway.scale(1)
            [pod] = gateway.pods
            async with Balancer([pod.address], gateway.ports["http"]) as balancer:
                grpc_target = f"ipv4:{pod.address}:{gateway.ports['grpc']}"
                yield Far(clients, relay, gateway, Way(grpc_target, balancer.port))
        finally:
            relay.release_answers()
            gateway.stop()


async def _by_grpc(far: Far, key: str, request_id: str) -> None:
    async with grpc_app(far.clients, far.way) as channel:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key, request_id),
        )


async def _by_http(far: Far, key: str, request_id: str) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"x-keyturn-key": key, "x-keyturn-request-id": request_id}
    async with (
        http_app(far.clients, far.way) as http,
        http.post("/v1/chat/completions", json=body, headers=headers) as response,
    ):
        response.raise_for_status()
        await response.read()


Ask = Callable[[Far, str, str], Coroutine[None, None, None]]


async def _leave(far: Far, ask: Ask, key: OwnedKey) -> str:
    """Call, and go away once the key service has made the lease, whose answer is on its way.

    Returns:
        The call's request id.
    """
    request_id = new_request_id()
    [pod] = far.gateway.pods
    far.relay.hold_answers()
    asking = asyncio.create_task(ask(far, key.name, request_id))
    await logged(far.clients, "keyvault-svc", event="rpc", request_id=request_id, code="OK")
    assert (await _standing(far, key)).held > 0
    asking.cancel()
    await asyncio.wait((asking,))
    event = "rpc" if ask is _by_grpc else "http"
    await logged(far.clients, pod.name, event=event, request_id=request_id)
    return request_id


async def _standing(far: Far, key: OwnedKey) -> limits_pb.LimitStanding:
    return await standing(alice(far.clients), key.name, TOKENS)


@pytest.mark.parametrize("ask", [_by_grpc, _by_http], ids=["grpc", "http"])
async def test_an_app_that_leaves_while_its_lease_is_made_leaves_nothing_reserved(
    far: Far, ask: Ask
) -> None:
    key = await give_key(far.clients, "left", limits=limits_of("tokens", AMPLE))
    await ask(far, key.name, new_request_id())  # the gateway is connected
    before = await settled(alice(far.clients), key.name, TOKENS)

    request_id = await _leave(far, ask, key)
    far.relay.release_answers()

    after = await settled(alice(far.clients), key.name, TOKENS)
    [line] = await logged(far.clients, "keyvault-svc", event="lease_settled", request_id=request_id)
    assert line["outcome"] == "unused"
    assert after.used == before.used > 0


async def test_a_gateway_that_stops_settles_the_lease_of_an_app_that_has_left(far: Far) -> None:
    key = await give_key(far.clients, "left", limits=limits_of("tokens", AMPLE))
    await _by_grpc(far, key.name, new_request_id())
    before = await settled(alice(far.clients), key.name, TOKENS)
    [pod] = far.gateway.pods

    await _leave(far, _by_grpc, key)
    ending = asyncio.create_task(far.gateway.end(pod))
    await logged(far.clients, pod.name, event="stopping")
    far.relay.release_answers()

    assert (await ending).exit_code == 0
    after = await until(lambda: _standing(far, key), lambda found: not found.held)
    assert after.used == before.used
