"""Owners and their keys: what they can do, what nobody else can, and what is left in Vault."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import grpc
import hvac.exceptions
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1 import owner_service_pb2 as owner_pb
from keyturn_cli.local.layout import DEMO_APP
from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.error_details import metadata_of, reason_of
from tests.e2e.asking import SERVED, ask
from tests.e2e.clients import Clients
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import (
    OwnedKey,
    Owner,
    alice,
    give_key,
    keep_key,
    make_team,
    sign_in,
    unused_name,
)

ALICES_OWN = "users/alice"
# Its record takes one write per grant; a writer may lose as often as there are others.
WRITERS = 5


@pytest.fixture(scope="module")
def bob(clients: Clients) -> Owner:
    """A second person."""
    return sign_in(clients, "bob")


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key of alice's, granted to the demo app, that no test changes."""
    return asyncio.run(give_key(clients, "owned"))


def _versions(clients: Clients, key: str) -> dict[str, Any]:
    """Return what KV knows of the record's versions."""
    admin = clients.stack.openbao.client()
    answer = admin.secrets.kv.v2.read_secret_metadata(key, mount_point="keyturn-kv")
    return dict(answer["data"]["versions"])


async def test_a_new_key_is_described_without_its_plaintext(clients: Clients) -> None:
    name, api_key = unused_name("described"), make_key()
    made = await alice(clients).create_key(name, api_key)

    assert made.name == name
    assert made.state == key_pb.KEY_STATE_PENDING
    assert made.key_version == 1
    assert made.creator == "alice"
    assert made.create_time == made.rotate_time
    assert made.active_grant_count == 0
    there = await alice(clients, replica=2).verified(name)
    assert there.state == key_pb.KEY_STATE_ACTIVE
    there.state = made.state
    there.ClearField("verification")
    assert there == made
    assert api_key.expose() not in made.SerializeToString()


async def test_an_owner_lists_their_keys_by_name(clients: Clients) -> None:
    made = [(await keep_key(clients, f"listed-{letter}")).name for letter in "ba"]
    listed = await alice(clients).list_keys(ALICES_OWN)

    assert listed == sorted(listed)
    assert set(made) <= set(listed)


async def test_a_name_is_taken_once(clients: Clients, key: OwnedKey) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice(clients).create_key(key.name, make_key())

    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert reason_of(caught.value) == "KEY_EXISTS"
    assert await ask(clients, key.name) == SERVED  # with the key that was there


async def test_of_creations_at_the_same_time_one_wins(clients: Clients) -> None:
    name = unused_name("raced")
    keys = [make_key() for _ in range(4)]
    attempts = [
        alice(clients, replica=1 + number % 2).create_key(name, api_key)
        for number, api_key in enumerate(keys)
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)

    refusals = [o for o in outcomes if isinstance(o, grpc.aio.AioRpcError)]
    assert [reason_of(refusal) for refusal in refusals] == ["KEY_EXISTS"] * 3
    winner = next(k for k, o in zip(keys, outcomes, strict=True) if isinstance(o, key_pb.Key))
    await alice(clients).verified(name)
    await alice(clients).create_grant(name)
    assert await ask(clients, name) == SERVED
    assert len(upstream_requests(clients, winner)) == 1


async def test_an_app_has_one_active_grant_on_a_key(clients: Clients, key: OwnedKey) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice(clients).create_grant(key.name)

    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert reason_of(caught.value) == "GRANT_EXISTS"


async def test_a_grant_is_recorded_with_its_terms_and_who_gave_it(clients: Clients) -> None:
    kept = await keep_key(clients, "consent")
    made = await alice(clients).create_grant(
        kept.name,
        models=["gpt-4o", "o4-*"],
        endpoints=["chat/completions"],
        source_cidrs=["127.0.0.0/8", "2001:db8::/32"],
        creator="mallory",  # output only: ignored
    )

    assert made.name.startswith(f"{kept.name}/grants/")
    assert (made.app, made.creator) == (DEMO_APP, "alice")
    assert list(made.models) == ["gpt-4o", "o4-*"]
    assert list(made.source_cidrs) == ["127.0.0.0/8", "2001:db8::/32"]
    assert not made.HasField("revoke_time")
    assert await alice(clients, replica=2).list_grants(kept.name) == [made]
    assert (await alice(clients).get_key(kept.name)).active_grant_count == 1


async def test_grants_that_are_made_at_the_same_time_all_land(clients: Clients) -> None:
    kept = await keep_key(clients, "crowd")
    apps = [f"spiffe://keyturn.local/app/crowd-{number}" for number in range(WRITERS)]
    await asyncio.gather(
        *(
            alice(clients, replica=1 + number % 2).create_grant(kept.name, app=app)
            for number, app in enumerate(apps)
        )
    )

    landed = await alice(clients).list_grants(kept.name)
    assert sorted(grant.app for grant in landed) == apps
    assert len({grant.name for grant in landed}) == WRITERS


async def test_a_rotation_destroys_every_version_before_it_and_keeps_the_grants(
    clients: Clients,
) -> None:
    kept = await give_key(clients, "rotated")
    await alice(clients).rotate_key(kept.name, make_key(), overlap=Duration())
    rotated = await alice(clients).verified(kept.name)

    assert (rotated.key_version, rotated.active_grant_count) == (2, 1)
    assert rotated.rotate_time.ToDatetime() > rotated.create_time.ToDatetime()
    *superseded, current = [about["destroyed"] for about in _versions(clients, kept.name).values()]
    assert set(superseded) == {True}
    assert current is False


async def test_rotating_to_the_same_plaintext_changes_nothing(clients: Clients) -> None:
    kept = await keep_key(clients, "rotated-to-itself")
    before = await alice(clients).get_key(kept.name)
    written = list(_versions(clients, kept.name))

    assert await alice(clients).rotate_key(kept.name, kept.api_key) == before
    assert list(_versions(clients, kept.name)) == written


async def test_a_deleted_key_leaves_neither_version_nor_metadata(clients: Clients) -> None:
    kept = await give_key(clients, "deleted")
    await alice(clients).rotate_key(kept.name, make_key())
    await alice(clients).delete_key(kept.name)

    with pytest.raises(hvac.exceptions.InvalidPath):
        _versions(clients, kept.name)
    assert kept.name not in await alice(clients).list_keys(ALICES_OWN)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice(clients, replica=2).get_key(kept.name)
    assert reason_of(caught.value) == "KEY_NOT_FOUND"


def _requests_about(name: str) -> dict[str, Message]:
    """Return one request of each RPC, about the key *name*."""
    grant = grant_pb.Grant(app=DEMO_APP, models=["*"], endpoints=["*"])
    return {
        "CreateKey": keys_pb.CreateKeyRequest(name=name, api_key=make_key().expose()),
        "GetKey": keys_pb.GetKeyRequest(name=name),
        "ListKeys": keys_pb.ListKeysRequest(parent=name.partition("/keys/")[0]),
        "RotateKey": keys_pb.RotateKeyRequest(name=name, api_key=make_key().expose()),
        "UpdateKey": keys_pb.UpdateKeyRequest(
            key=key_pb.Key(name=name, assurance=key_pb.KEY_ASSURANCE_HIGH),
            update_mask=FieldMask(paths=["assurance"]),
        ),
        "UndoRotation": keys_pb.UndoRotationRequest(name=name),
        "VerifyKey": keys_pb.VerifyKeyRequest(name=name),
        "DisableKey": keys_pb.DisableKeyRequest(name=name),
        "EnableKey": keys_pb.EnableKeyRequest(name=name),
        "DeleteKey": keys_pb.DeleteKeyRequest(name=name),
        "ExportOwner": owner_pb.ExportOwnerRequest(name=name.partition("/keys/")[0]),
        "EraseOwner": owner_pb.EraseOwnerRequest(name=name.partition("/keys/")[0]),
        "CreateGrant": grants_pb.CreateGrantRequest(parent=name, grant=grant),
        "ListGrants": grants_pb.ListGrantsRequest(parent=name),
        "RevokeGrant": grants_pb.RevokeGrantRequest(name=f"{name}/grants/{'0' * 16}"),
    }


async def _failure(owner: Owner, rpc: str, name: str) -> tuple[object, ...]:
    """Return all that a refused call tells, but its request id."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await owner.call(rpc, _requests_about(name)[rpc])
    error = caught.value
    details = {k: v for k, v in metadata_of(error).items() if k != "request_id"}
    metadata_names = sorted(key for key, _ in error.trailing_metadata() or ())
    return error.code(), error.details(), reason_of(error), details, metadata_names


@pytest.mark.parametrize("rpc", _requests_about(""))
async def test_somebody_else_is_refused_alike_whether_or_not_the_key_exists(
    bob: Owner, key: OwnedKey, rpc: str
) -> None:
    existing = await _failure(bob, rpc, key.name)

    assert existing[:3:2] == (grpc.StatusCode.PERMISSION_DENIED, "NOT_THE_OWNER")
    assert existing == await _failure(bob, rpc, unused_name("missing"))
    assert existing == await _failure(bob, rpc, "users/nobody/keys/x")
    assert existing == await _failure(bob, rpc, "teams/nobodys/keys/x")


async def test_what_somebody_else_tried_has_changed_nothing(clients: Clients, bob: Owner) -> None:
    kept = await give_key(clients, "tried")
    before = (await alice(clients).get_key(kept.name), await alice(clients).list_grants(kept.name))
    for rpc in _requests_about(kept.name):
        await _failure(bob, rpc, kept.name)

    after = (await alice(clients).get_key(kept.name), await alice(clients).list_grants(kept.name))
    assert after == before
    assert await ask(clients, kept.name) == SERVED


@pytest.mark.parametrize("rpc", _requests_about(""))
async def test_an_apps_token_is_no_persons(clients: Clients, key: OwnedKey, rpc: str) -> None:
    app = Owner(clients, clients.env["KEYTURN_APP_TOKEN"])

    refused = await _failure(app, rpc, key.name)
    assert refused[:3:2] == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNVERIFIED")


async def test_admins_act_for_their_team_and_nobody_else_does(clients: Clients) -> None:
    team = f"payments-{secrets.token_hex(3)}"
    make_team(clients, f"{team}-admins", "bob", "carol")
    bob, carol = sign_in(clients, "bob"), sign_in(clients, "carol")
    name, api_key = f"teams/{team}/keys/openai", make_key()

    made = await bob.create_key(name, api_key)
    await bob.verified(name)
    grant = await carol.create_grant(name)
    assert (made.creator, grant.creator) == ("bob", "carol")
    assert await ask(clients, name) == SERVED
    assert len(upstream_requests(clients, api_key)) == 1
    assert await carol.list_keys(f"teams/{team}") == [name]
    assert (await _failure(alice(clients), "GetKey", name))[2] == "NOT_THE_OWNER"
    assert (await _failure(carol, "GetKey", "users/bob/keys/x"))[2] == "NOT_THE_OWNER"

    await bob.revoke_grant(grant.name)
    assert await ask(clients, name) == "GRANT_REVOKED"
