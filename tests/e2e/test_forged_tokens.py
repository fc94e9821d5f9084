"""The tokens that forgeries are made of do prove somebody; the forgeries are in the attacks."""

from __future__ import annotations

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from tests.e2e.breaking import SERVED, SERVED_HTTP, by_owner, verdict
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.identities import UNVERIFIED_HTTP, bearer, get_models, pair_of


async def test_the_tokens_that_forgeries_are_made_of_are_accepted(clients: Clients) -> None:
    headers = {"authorization": f"Bearer {clients.env['KEYTURN_APP_TOKEN']}"}

    assert await get_models(clients, headers=headers) == SERVED_HTTP
    assert await by_owner(clients) == SERVED


async def test_a_certificate_and_a_token_of_different_apps_prove_neither_over_http(
    clients: Clients,
) -> None:
    headers = {"authorization": f"Bearer {clients.env['KEYTURN_APP_TOKEN']}"}
    agreeing = await get_models(clients, pair=pair_of(clients, "app-demo"), headers=headers)
    differing = await get_models(clients, pair=pair_of(clients, "app-other"), headers=headers)

    assert agreeing == SERVED_HTTP
    assert differing == UNVERIFIED_HTTP


async def test_an_apps_own_token_beside_its_certificate_is_accepted(clients: Clients) -> None:
    proof = bearer(clients.env["KEYTURN_APP_TOKEN"])
    async with clients.gateway() as channel:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(clients.stack.key_name, new_request_id(), *proof),
        )
        assert await verdict(clients, call) == SERVED
