"""Records that somebody with write access to Vault's KV tampered with open nothing."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any, cast

import grpc
import hvac
import pytest

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from svc_runtime.error_details import reason_of
from tests.e2e.asking import SERVED, ask, ask_over_http
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.evidence import GATEWAY, KEY_SERVICE, upstream_requests, vault_operations
from tests.e2e.owners import OwnedKey, alice, give_key, sign_in

Record = dict[str, Any]

_MOUNT = "keyturn-kv"


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key of alice's, granted to the demo app; its record is copied and stays as it is."""
    return asyncio.run(give_key(clients, "sealed"))


def _read(clients: Clients, name: str) -> Record:
    kv = clients.stack.openbao.client().secrets.kv.v2
    answer = kv.read_secret_version(name, mount_point=_MOUNT, raise_on_deleted_version=True)
    return cast("Record", json.loads(answer["data"]["data"]["record"]))


def _write(clients: Clients, name: str, record: Record) -> None:
    """Write *record* over what is there."""
    kv = clients.stack.openbao.client().secrets.kv.v2
    try:
        metadata = kv.read_secret_metadata(name, mount_point=_MOUNT)
        over = metadata["data"]["current_version"]
    except hvac.exceptions.InvalidPath:
        over = 0
    stored = {"record": json.dumps(record)}
    kv.create_or_update_secret(name, stored, cas=over, mount_point=_MOUNT)


def _copy_to_mallory(clients: Clients, key: OwnedKey, **changes: object) -> str:
    """Copy the record of *key* to a name of mallory's, and return that name."""
    name = f"users/mallory/keys/copy-{secrets.token_hex(4)}"
    named = {field: name if value == "THE COPY" else value for field, value in changes.items()}
    _write(clients, name, {**_read(clients, key.name), **named})
    return name


async def test_a_copied_record_is_refused_before_anything_is_opened(
    clients: Clients, key: OwnedKey
) -> None:
    name = _copy_to_mallory(clients, key)
    request_id = new_request_id()

    assert await ask(clients, name, request_id=request_id) == "SEALED_KEY_UNUSABLE"
    assert [o.role for o in vault_operations(clients, request_id)] == [KEY_SERVICE]
    assert upstream_requests(clients, key.api_key) == []


async def test_a_copied_record_that_bears_the_new_name_is_not_decrypted_by_vault(
    clients: Clients, key: OwnedKey
) -> None:
    name = _copy_to_mallory(clients, key, name="THE COPY")
    request_id = new_request_id()

    assert await ask(clients, name, request_id=request_id) == "SEALED_KEY_UNUSABLE"
    read, decrypt = vault_operations(clients, request_id)
    assert (read.role, read.is_failed) == (KEY_SERVICE, False)
    assert (decrypt.role, decrypt.is_failed) == (GATEWAY, True)
    assert upstream_requests(clients, key.api_key) == []


async def test_an_unusable_record_is_data_loss_over_grpc_and_500_over_http(
    clients: Clients, key: OwnedKey
) -> None:
    name = _copy_to_mallory(clients, key, name="THE COPY")

    assert await ask_over_http(clients, name) == "SEALED_KEY_UNUSABLE"
    async with clients.gateway() as channel:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(name),
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
    clients.keep(caught.value)
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert "sk-" not in f"{caught.value}{caught.value.trailing_metadata()}"


def _with_unknown_field(record: Record, _other: Record) -> Record:
    return {**record, "suspended": True}


def _with_unknown_limit(record: Record, _other: Record) -> Record:
    return {**record, "grants": [{**record["grants"][0], "usd_per_month": 5}]}


def _of_the_next_schema(record: Record, _other: Record) -> Record:
    return {**record, "schema_version": 3}


def _with_a_plaintext(record: Record, _other: Record) -> Record:
    return _sealed(record, "sk-standin-working-planted")


def _with_the_seal_of_another_key(record: Record, other: Record) -> Record:
    return _sealed(record, other["current"]["sealed_key"])


def _with_a_changed_seal(record: Record, _other: Record) -> Record:
    sealed = record["current"]["sealed_key"]
    return _sealed(record, sealed[:-8] + sealed[-8:].swapcase())


def _sealed(record: Record, sealed_key: str) -> Record:
    return {**record, "current": {**record["current"], "sealed_key": sealed_key}}


@pytest.mark.parametrize(
    ("tamper", "opened_by"),
    [
        (_with_unknown_field, [KEY_SERVICE]),
        (_with_unknown_limit, [KEY_SERVICE]),
        (_of_the_next_schema, [KEY_SERVICE]),
        (_with_a_plaintext, [KEY_SERVICE]),
        (_with_the_seal_of_another_key, [KEY_SERVICE, GATEWAY]),
        (_with_a_changed_seal, [KEY_SERVICE, GATEWAY]),
    ],
)
async def test_a_record_that_was_tampered_with_is_refused(
    clients: Clients,
    key: OwnedKey,
    tamper: Callable[[Record, Record], Record],
    opened_by: list[str],
) -> None:
    own = await give_key(clients, "tampered")
    record = _read(clients, own.name)
    _write(clients, own.name, tamper(record, _read(clients, key.name)))
    request_id = new_request_id()

    assert await ask(clients, own.name, request_id=request_id) == "SEALED_KEY_UNUSABLE"
    assert [o.role for o in vault_operations(clients, request_id)] == opened_by
    assert upstream_requests(clients, own.api_key) == []
    assert upstream_requests(clients, key.api_key) == []

    _write(clients, own.name, record)
    assert await ask(clients, own.name) == SERVED


async def test_the_owner_of_the_copy_is_told_that_it_cannot_be_read(
    clients: Clients, key: OwnedKey
) -> None:
    name = _copy_to_mallory(clients, key)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sign_in(clients, "mallory").get_key(name)

    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert reason_of(caught.value) == "KEY_RECORD_UNREADABLE"


async def test_a_record_that_an_owner_cannot_read_can_be_deleted(
    clients: Clients,
) -> None:
    own = await give_key(clients, "broken")
    _write(clients, own.name, {"schema_version": 99})

    await alice(clients).delete_key(own.name)
    assert await ask(clients, own.name) == "NOT_GRANTED"
