"""No answer tells whether somebody else's key, grant or request exists."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import pytest

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyvault_svc.domain.roles import MAY, Role
from keyvault_svc.rpc.access_policy import ACTIONS
from tests.e2e.asking import QUESTION
from tests.e2e.attack_gateway import lease_request, stolen_gateway
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id
from tests.e2e.owners import OwnedKey, Owner, alice, give_key, sign_in, unused_name
from tests.e2e.people_requests import REQUESTS, Place

MISSING: Mapping[str, Callable[[], Place]] = {
    "a key that is missing": lambda: Place("users/alice", unused_name("none").rpartition("/")[2]),
    "an owner that is missing": lambda: Place(f"users/nobody-{secrets.token_hex(4)}"),
    "a team that is missing": lambda: Place(f"teams/nobodys-{secrets.token_hex(4)}"),
}
# Whoever may call these for every owner, or for none, is told of nothing that exists.
ASKED = {
    method.rpartition("/")[2]: method
    for method, action in ACTIONS.items()
    if Role.ANYBODY not in MAY[action]
}
Told = tuple[object, ...]


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key of alice's that is granted to the demo app alone."""
    return asyncio.run(give_key(clients, "oracle"))


@pytest.fixture(scope="module")
def bob(clients: Clients) -> Owner:
    """Somebody else."""
    return sign_in(clients, "bob")


def _without(text: str, *hidden: str) -> str:
    """Return *text* with what the asker said, and what differs each time, taken out."""
    for word in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(word, "<asked>")
    return text


async def _told(call: Any, request_id: str, *asked: str) -> Told:  # noqa: ANN401 - any gRPC call
    """Return all that the refusal of a call tells, but for what the caller said itself."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value

    def entries(found: grpc.aio.Metadata | None) -> list[tuple[str, str]]:
        return [(name, _without(_text(value), request_id, *asked)) for name, value in found or ()]

    return (
        error.code(),
        _without(error.details() or "", request_id, *asked),
        entries(error.initial_metadata()),
        entries(error.trailing_metadata()),
    )


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


async def _by_rpc(person: Owner, rpc: str, place: Place) -> Told:
    request_id = new_request_id()
    entries = (
        ("authorization", f"Bearer {person.token}"),
        ("x-keyturn-request-id", request_id),
    )
    raw = REQUESTS[rpc](place).SerializeToString()
    async with person.clients.owner_port() as channel:
        call = channel.unary_unary(ASKED[rpc], bytes, bytes)
        return await _told(
            call(raw, timeout=DEADLINE_SECONDS, metadata=entries),
            request_id,
            *_said(place),
        )


def _said(place: Place) -> tuple[str, ...]:
    return (place.grant_request, place.grant, place.key, place.owner)


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("rpc", ASKED)
async def test_somebody_else_hears_the_same_word_for_word_of_what_exists_and_what_does_not(
    bob: Owner, key: OwnedKey, rpc: str, missing: str
) -> None:
    existing = await _by_rpc(bob, rpc, Place("users/alice", key.name.rpartition("/")[2]))

    assert existing == await _by_rpc(bob, rpc, MISSING[missing]())


async def test_nobody_else_hears_whether_a_grant_exists(
    clients: Clients, bob: Owner, key: OwnedKey
) -> None:
    [grant] = await alice(clients).list_grants(key.name)

    class Granted(Place):
        @property
        def grant(self) -> str:
            return grant.name

    place = Place("users/alice", key.name.rpartition("/")[2])
    for rpc in ("RevokeGrant", "UpdateGrant"):
        existing = await _by_rpc(bob, rpc, Granted(place.owner, place.key_id))
        assert existing == await _by_rpc(bob, rpc, place)


async def _by_lease(clients: Clients, name: str, *, is_check: bool) -> Told:
    request_id = new_request_id()
    request = lease_request(name, "spiffe://keyturn.local/app/other")
    entries = metadata(None, request_id)
    async with stolen_gateway(clients) as stub:
        if is_check:
            check = lease_pb.CheckLeaseRequest(lease_id="0" * 32, request=request)
            checked = stub.CheckLease(check, timeout=DEADLINE_SECONDS, metadata=entries)
            return await _told(checked, request_id, name)
        acquired = stub.AcquireLease(request, timeout=DEADLINE_SECONDS, metadata=entries)
        return await _told(acquired, request_id, name)


@pytest.mark.parametrize("is_check", [False, True])
async def test_a_gateway_hears_of_a_key_that_the_app_has_no_grant_on_what_it_hears_of_none(
    clients: Clients, key: OwnedKey, *, is_check: bool
) -> None:
    existing = await _by_lease(clients, key.name, is_check=is_check)

    for missing in MISSING.values():
        assert existing == await _by_lease(clients, missing().key, is_check=is_check)


async def _by_http(clients: Clients, name: str, path: str) -> Told:
    request_id = new_request_id()
    headers: Mapping[str, str] = dict(metadata(name, request_id))
    async with (
        clients.http(app="other") as http,
        http.post(path, json=QUESTION, headers=headers) as response,
    ):
        body = _without(await response.text(), request_id, name)
        clients.keep(dict(response.headers), body)
    told = sorted(
        (header.lower(), _without(value, request_id, name))
        for header, value in response.headers.items()
        if header.lower() != "date"
    )
    return response.status, re.sub(r"\s+", " ", body), told


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files", "/v1/no/such/thing"])
async def test_an_app_hears_over_http_of_a_key_without_a_grant_what_it_hears_of_none(
    clients: Clients, key: OwnedKey, path: str
) -> None:
    existing = await _by_http(clients, key.name, path)

    assert existing[0] == 403
    for missing in MISSING.values():
        assert existing == await _by_http(clients, missing().key, path)
