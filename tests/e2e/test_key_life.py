"""From pending to deleted: what an owner brings about, and what an app hears meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn_cli.standin.standin_keys import KeyKind, make_key
from tests.e2e.asking import SERVED, ask, ask_over_http
from tests.e2e.breaking import until
from tests.e2e.clients import Clients
from tests.e2e.evidence import upstream_requests, verification_requests
from tests.e2e.owners import alice, give_key, keep_key, unused_name

NO_OVERLAP = Duration()
OUTCOMES = {
    KeyKind.WORKING: ("ACTIVE", "VERIFIED"),
    KeyKind.RATELIMITED: ("ACTIVE", "VERIFIED"),
    KeyKind.REVOKED: ("REJECTED", "WRONG_KEY"),
    KeyKind.BROKE: ("PENDING", "NO_QUOTA"),
    KeyKind.FORBIDDEN: ("PENDING", "NO_PERMISSION"),
    KeyKind.IPBLOCKED: ("PENDING", "NO_PERMISSION"),
    KeyKind.FAILING: ("PENDING", "OPENAI_UNREACHABLE"),
    KeyKind.OVERLOADED: ("PENDING", "OPENAI_UNREACHABLE"),
}


def _state(key: key_pb.Key | key_pb.KeyVersion) -> str:
    return key_pb.KeyState.Name(key.state).removeprefix("KEY_STATE_")


def _outcome(key: key_pb.Key | key_pb.KeyVersion) -> str:
    name = key_pb.VerificationOutcome.Name(key.verification.outcome)
    return name.removeprefix("VERIFICATION_OUTCOME_")


async def _refused(clients: Clients, rpc: str, request: Any) -> str | None:  # noqa: ANN401 - any request
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice(clients).call(rpc, request)
    return clients.reason(caught.value)


def _kv(clients: Clients) -> Any:  # noqa: ANN401 - hvac is untyped
    return clients.stack.openbao.client().secrets.kv.v2


def _undestroyed(clients: Clients, name: str) -> list[int]:
    """Return the versions of the record whose content KV still has."""
    metadata = _kv(clients).read_secret_metadata(name, mount_point="keyturn-kv")["data"]
    return [int(v) for v, about in metadata["versions"].items() if not about["destroyed"]]


@pytest.mark.parametrize("kind", OUTCOMES)
async def test_a_key_is_tried_at_openai_and_what_came_of_it_is_told(
    clients: Clients, kind: KeyKind
) -> None:
    kept = await keep_key(clients, "tried", kind)
    record = await alice(clients, replica=2).get_key(kept.name)

    assert (_state(record), _outcome(record)) == OUTCOMES[kind]
    tried = verification_requests(clients, kept.api_key)
    assert [request.path for request in tried][:1] == ["/v1/models"]
    assert {request.path for request in tried} <= {"/v1/models", "/v1/chat/completions"}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(KeyKind.BROKE, "KEY_PENDING"), (KeyKind.REVOKED, "KEY_REJECTED_UPSTREAM")],
)
async def test_a_key_that_is_not_verified_serves_nobody(
    clients: Clients, kind: KeyKind, reason: str
) -> None:
    kept = await give_key(clients, "unverified", kind)

    assert await ask(clients, kept.name) == reason
    assert await ask_over_http(clients, kept.name, replica=2) == reason
    assert await ask(clients, kept.name, app="other") == "NOT_GRANTED"  # it is not told of the key
    assert upstream_requests(clients, kept.api_key) == []


async def test_a_key_is_verified_again_when_its_owner_asks(clients: Clients) -> None:
    kept = await keep_key(clients, "again")
    before = len(verification_requests(clients, kept.api_key))

    await alice(clients).call("VerifyKey", keys_pb.VerifyKeyRequest(name=kept.name))

    async def look() -> int:
        return len(verification_requests(clients, kept.api_key))

    assert await until(look, lambda count: count > before) > before


@pytest.mark.parametrize("kind", [KeyKind.REVOKED, KeyKind.BROKE, KeyKind.FAILING])
async def test_a_rotation_that_fails_leaves_the_old_key_serving(
    clients: Clients, kind: KeyKind
) -> None:
    kept = await give_key(clients, "failed-rotation")
    await alice(clients).rotate_key(kept.name, make_key(kind))
    record = await alice(clients).verified(kept.name)

    assert (_state(record), record.key_version) == ("ACTIVE", 1)
    assert (_state(record.incoming), _outcome(record.incoming)) == OUTCOMES[kind]
    assert await ask(clients, kept.name) == SERVED
    assert len(upstream_requests(clients, kept.api_key)) == 1


async def test_a_rotation_serves_once_verified_and_can_be_undone(clients: Clients) -> None:
    kept, successor = await give_key(clients, "undone"), make_key()
    await alice(clients).rotate_key(kept.name, successor)
    rotated = await alice(clients).verified(kept.name)
    served = await ask(clients, kept.name)
    undo = keys_pb.UndoRotationRequest(name=kept.name, key_version=rotated.key_version)
    undone = (await alice(clients, replica=2).call("UndoRotation", undo)).key
    again = (await alice(clients).call("UndoRotation", undo)).key

    assert (rotated.key_version, rotated.retiring.key_version) == (2, 1)
    assert _state(rotated.retiring) == "RETIRING"
    assert rotated.retiring.destroy_time.ToDatetime(UTC) > datetime.now(UTC) + timedelta(hours=23)
    assert served == SERVED
    assert len(upstream_requests(clients, successor)) == 1
    assert (undone.key_version, _state(undone)) == (1, "ACTIVE")
    assert again == undone
    assert await ask(clients, kept.name) == SERVED
    assert len(upstream_requests(clients, kept.api_key)) == 1
    assert len(_undestroyed(clients, kept.name)) == 1


async def test_without_an_overlap_the_old_plaintext_is_destroyed_at_once(
    clients: Clients,
) -> None:
    kept = await keep_key(clients, "no-overlap")
    await alice(clients).rotate_key(kept.name, make_key(), overlap=NO_OVERLAP)
    rotated = await alice(clients).verified(kept.name)

    assert not rotated.HasField("retiring")
    assert len(_undestroyed(clients, kept.name)) == 1
    nothing = keys_pb.UndoRotationRequest(name=kept.name)
    assert await _refused(clients, "UndoRotation", nothing) == "KEY_STATE_CONFLICT"


async def test_a_rotation_under_way_can_be_taken_back(clients: Clients) -> None:
    kept = await give_key(clients, "taken-back")
    await alice(clients).rotate_key(kept.name, make_key(KeyKind.BROKE))
    undo = keys_pb.UndoRotationRequest(name=kept.name)
    undone = (await alice(clients).call("UndoRotation", undo)).key

    assert not undone.HasField("incoming")
    assert await ask(clients, kept.name) == SERVED


async def test_a_key_that_openai_revokes_is_rejected_by_itself(clients: Clients) -> None:
    kept = await give_key(clients, "revoked-later", KeyKind.SOONREVOKED)
    refused = await ask(clients, kept.name)

    async def look() -> str:
        return _state(await alice(clients).get_key(kept.name))

    await until(look, lambda state: state == "REJECTED")  # verifications keep 10 seconds' distance
    asked = len(upstream_requests(clients, kept.api_key))

    assert refused == "KEY_REJECTED_UPSTREAM"
    assert await ask(clients, kept.name) == "KEY_REJECTED_UPSTREAM"
    assert len(upstream_requests(clients, kept.api_key)) == asked  # it is not sent any more


async def test_switching_off_holds_everywhere_and_switching_on_verifies(clients: Clients) -> None:
    kept = await give_key(clients, "switched")
    off = await alice(clients).call("DisableKey", keys_pb.DisableKeyRequest(name=kept.name))
    heard = [await ask(clients, kept.name, replica=replica) for replica in (1, 2, 1, 2)]
    on = await alice(clients).call("EnableKey", keys_pb.EnableKeyRequest(name=kept.name))
    verified = await alice(clients).verified(kept.name)

    assert (_state(off.key), _state(on.key), _state(verified)) == ("DISABLED", "PENDING", "ACTIVE")
    assert set(heard) == {"KEY_DISABLED"}
    assert await ask(clients, kept.name) == SERVED


async def test_a_key_stops_at_its_expiry_and_goes_on_when_renewed(clients: Clients) -> None:
    kept = await give_key(clients, "expiring")
    soon, later = Timestamp(), Timestamp()
    soon.FromDatetime(datetime.now(UTC) + timedelta(seconds=1))
    later.FromDatetime(datetime.now(UTC) + timedelta(days=30))

    await _set(clients, key_pb.Key(name=kept.name, expire_time=soon), "expire_time")

    async def look() -> str:
        return await ask(clients, kept.name)

    assert await until(look, lambda heard: heard != SERVED) == "KEY_EXPIRED"
    expired = await alice(clients).get_key(kept.name)
    await _set(clients, key_pb.Key(name=kept.name, expire_time=later), "expire_time")
    await alice(clients).verified(kept.name)

    assert _state(expired) == "EXPIRED"
    assert await ask(clients, kept.name) == SERVED


async def test_an_expiry_in_the_past_is_refused(clients: Clients) -> None:
    past = Timestamp()
    past.FromDatetime(datetime.now(UTC) - timedelta(seconds=1))
    name = unused_name("past")
    created = keys_pb.CreateKeyRequest(name=name, api_key=make_key().expose(), expire_time=past)

    assert await _refused(clients, "CreateKey", created) == "INVALID_ARGUMENT"
    assert name not in await alice(clients).list_keys("users/alice")


@pytest.mark.parametrize("paths", [[], ["state"], ["expire_time", "creator"]])
async def test_only_what_an_owner_decides_can_be_changed(
    clients: Clients, paths: list[str]
) -> None:
    kept = await keep_key(clients, "masked")
    request = keys_pb.UpdateKeyRequest(
        key=key_pb.Key(name=kept.name), update_mask=FieldMask(paths=paths)
    )

    assert await _refused(clients, "UpdateKey", request) == "INVALID_ARGUMENT"


async def test_a_deletion_proves_that_nothing_is_left(clients: Clients) -> None:
    kept = await give_key(clients, "proven")
    await alice(clients).rotate_key(kept.name, make_key())
    await alice(clients).verified(kept.name)
    metadata = _kv(clients).read_secret_metadata(kept.name, mount_point="keyturn-kv")["data"]

    response = await alice(clients).call("DeleteKey", keys_pb.DeleteKeyRequest(name=kept.name))

    assert response.proof.key == kept.name
    assert response.proof.destroyed_version_count >= len(metadata["versions"])
    admin = clients.stack.openbao.client()
    assert admin.read(f"keyturn-kv/metadata/{kept.name}") is None
    assert not await _noted(clients, kept.name, "verifications")
    await alice(clients).create_key(kept.name, kept.api_key)  # its name and its plaintext are free
    assert _state(await alice(clients).verified(kept.name)) == "ACTIVE"


async def _set(clients: Clients, key: key_pb.Key, *paths: str) -> None:
    request = keys_pb.UpdateKeyRequest(key=key, update_mask=FieldMask(paths=paths))
    await alice(clients).call("UpdateKey", request)


async def _noted(clients: Clients, name: str, folder: str) -> bool:
    """Return whether an entry of *folder* names the key."""
    admin = clients.stack.openbao.client()
    listed = admin.list(f"keyturn-kv/metadata/{folder}")
    entries = listed["data"]["keys"] if listed else []
    texts = [admin.read(f"keyturn-kv/data/{folder}/{entry}") for entry in entries]
    return any(name in str(text) for text in texts)
