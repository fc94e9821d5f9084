"""What an owner takes back is gone from the very next request, on every replica."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn_cli.local.layout import OTHER_APP
from keyturn_cli.standin.standin_keys import make_key
from tests.e2e.asking import SERVED, ask, ask_often, ask_over_http
from tests.e2e.clients import Clients, new_request_id
from tests.e2e.evidence import KEY_SERVICE, upstream_requests, vault_operations
from tests.e2e.owners import alice, give_key, keep_key

GATEWAYS = (1, 2)
# A gateway asks the two key services in turn, so this many requests ask each of them twice.
OFTEN = 4


async def _ask_everywhere(clients: Clients, key: str, *, app: str = "demo") -> set[str]:
    """Ask each gateway often, at once; return the different outcomes."""
    outcomes = [
        outcome
        for gateway in GATEWAYS
        for outcome in await ask_often(clients, key, OFTEN, app=app, replica=gateway)
    ]
    return set(outcomes)


@pytest.mark.parametrize("gateway", GATEWAYS)
async def test_each_gateway_asks_both_key_services(clients: Clients, gateway: int) -> None:
    key = await give_key(clients, "spread")
    request_id = new_request_id()
    await ask_often(clients, key.name, OFTEN, replica=gateway, request_id=request_id)

    operations = vault_operations(clients, request_id)
    assert len({o.login for o in operations if o.role == KEY_SERVICE}) == 2


@pytest.mark.parametrize("key_service", [1, 2])
async def test_a_revoked_grant_is_refused_everywhere_from_the_next_request(
    clients: Clients, key_service: int
) -> None:
    key = await keep_key(clients, "revoke")
    owner = alice(clients, replica=key_service)
    grant = await owner.create_grant(key.name)
    assert await _ask_everywhere(clients, key.name) == {SERVED}
    served = len(upstream_requests(clients, key.api_key))

    revoked = await owner.revoke_grant(grant.name)
    assert await _ask_everywhere(clients, key.name) == {"GRANT_REVOKED"}
    assert await ask_over_http(clients, key.name, replica=2) == "GRANT_REVOKED"
    assert len(upstream_requests(clients, key.api_key)) == served
    assert revoked.HasField("revoke_time")
    assert revoked.revoker == "alice"


async def test_a_new_grant_after_a_revocation_serves_everywhere_at_once(clients: Clients) -> None:
    key = await keep_key(clients, "regrant")
    first, second = alice(clients, replica=1), alice(clients, replica=2)
    grant = await first.create_grant(key.name)
    await second.revoke_grant(grant.name)
    assert await _ask_everywhere(clients, key.name) == {"GRANT_REVOKED"}

    await first.create_grant(key.name)
    assert await _ask_everywhere(clients, key.name) == {SERVED}
    assert await ask_over_http(clients, key.name, replica=2) == SERVED


async def test_a_revocation_leaves_other_apps_grants_alone(clients: Clients) -> None:
    key = await keep_key(clients, "revoke-one")
    owner = alice(clients)
    grant = await owner.create_grant(key.name)
    await owner.create_grant(key.name, app=OTHER_APP)

    await owner.revoke_grant(grant.name)
    assert await _ask_everywhere(clients, key.name) == {"GRANT_REVOKED"}
    assert await _ask_everywhere(clients, key.name, app="other") == {SERVED}


async def test_revoking_twice_keeps_the_first_time(clients: Clients) -> None:
    key = await keep_key(clients, "revoke-twice")
    grant = await alice(clients).create_grant(key.name)

    first = await alice(clients).revoke_grant(grant.name)
    assert await alice(clients, replica=2).revoke_grant(grant.name) == first


async def test_a_deleted_key_is_refused_everywhere_as_if_it_had_never_been(
    clients: Clients,
) -> None:
    key = await give_key(clients, "delete")
    assert await _ask_everywhere(clients, key.name) == {SERVED}
    served = len(upstream_requests(clients, key.api_key))

    await alice(clients).delete_key(key.name)
    assert await _ask_everywhere(clients, key.name) == {"NOT_GRANTED"}
    assert await ask_over_http(clients, key.name) == "NOT_GRANTED"
    assert len(upstream_requests(clients, key.api_key)) == served


async def test_the_grants_of_a_deleted_key_do_not_come_back_with_its_name(
    clients: Clients,
) -> None:
    key = await give_key(clients, "reborn")
    await alice(clients).delete_key(key.name)
    await alice(clients).create_key(key.name, make_key())

    assert await _ask_everywhere(clients, key.name) == {"NOT_GRANTED"}


async def test_a_grant_ends_everywhere_at_its_expiry(clients: Clients) -> None:
    key = await keep_key(clients, "expire")
    expiry = datetime.now(UTC) + timedelta(seconds=2)
    expire_time = Timestamp()
    expire_time.FromDatetime(expiry)
    await alice(clients).create_grant(key.name, expire_time=expire_time)
    assert await ask(clients, key.name) == SERVED

    while (outcome := await ask(clients, key.name)) == SERVED:
        pass
    assert outcome == "GRANT_EXPIRED"
    assert datetime.now(UTC) >= expiry
    assert await _ask_everywhere(clients, key.name) == {"GRANT_EXPIRED"}

    await alice(clients).create_grant(key.name)
    assert await _ask_everywhere(clients, key.name) == {SERVED}


async def test_a_rotated_key_is_used_everywhere_from_the_next_request(clients: Clients) -> None:
    key = await give_key(clients, "rotate")
    assert await _ask_everywhere(clients, key.name) == {SERVED}
    assert len(upstream_requests(clients, key.api_key)) == OFTEN * len(GATEWAYS)

    successor = make_key()
    await alice(clients).rotate_key(key.name, successor)
    await alice(clients).verified(key.name)
    assert await _ask_everywhere(clients, key.name) == {SERVED}
    assert len(upstream_requests(clients, successor)) == OFTEN * len(GATEWAYS)
    assert len(upstream_requests(clients, key.api_key)) == OFTEN * len(GATEWAYS)
