"""The same OpenAI key twice: found without being known, and told to nobody it does not concern."""

from __future__ import annotations

import secrets

import grpc
import pytest

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.standin.standin_keys import make_key
from tests.e2e.breaking import logged
from tests.e2e.clients import Clients
from tests.e2e.owners import alice, keep_key, sign_in, unused_name


async def test_an_owner_cannot_bring_the_same_key_under_two_names(clients: Clients) -> None:
    kept = await keep_key(clients, "once")
    name = unused_name("twice")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice(clients, replica=2).create_key(name, kept.api_key)

    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert clients.reason(caught.value) == "KEY_DUPLICATE"
    assert name not in await alice(clients).list_keys("users/alice")


async def test_a_rotation_to_the_plaintext_of_another_key_is_refused(clients: Clients) -> None:
    kept, other = await keep_key(clients, "one"), await keep_key(clients, "another")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice(clients).rotate_key(kept.name, other.api_key)

    assert clients.reason(caught.value) == "KEY_DUPLICATE"
    assert not (await alice(clients).get_key(kept.name)).HasField("incoming")


async def test_security_is_told_of_a_key_that_two_owners_hold_and_they_are_not(
    clients: Clients,
) -> None:
    kept = await keep_key(clients, "shared")
    stranger = f"dave-{secrets.token_hex(3)}"
    dave = sign_in(clients, stranger)
    name = f"users/{stranger}/keys/mine"

    made = await dave.create_key(name, kept.api_key)
    verified = await dave.verified(name)

    [event] = await logged(clients, "keyvault-svc", event="key_shared", key=name)
    assert (event["other_key"], event["level"]) == (kept.name, "warning")
    assert kept.name not in f"{made}{verified}"
    assert verified.state == key_pb.KEY_STATE_ACTIVE
    assert (await alice(clients).get_key(kept.name)).state == key_pb.KEY_STATE_ACTIVE


async def test_a_plaintext_is_free_again_once_nobody_holds_it(clients: Clients) -> None:
    kept, api_key = await keep_key(clients, "freed"), make_key()
    await alice(clients).rotate_key(kept.name, api_key)
    await alice(clients).verified(kept.name)
    await alice(clients).delete_key(kept.name)

    for number, freed in enumerate((kept.api_key, api_key)):
        await alice(clients).create_key(unused_name(f"freed-{number}"), freed)
