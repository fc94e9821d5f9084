"""Keys of high assurance: Vault itself enforces that the hand-off is taken once."""

from __future__ import annotations

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.standin.standin_keys import make_key
from tests.e2e.asking import SERVED, ask
from tests.e2e.clients import Clients, new_request_id
from tests.e2e.evidence import GATEWAY, KEY_SERVICE, upstream_requests, vault_operations
from tests.e2e.owners import alice, give_key, unused_name

WRAPPED = [
    (KEY_SERVICE, "read"),
    (KEY_SERVICE, "sys/wrapping/wrap"),
    (GATEWAY, "sys/wrapping/lookup"),
    (GATEWAY, "sys/wrapping/unwrap"),
    (GATEWAY, "keyturn-transit/decrypt/openai"),
]


def _steps(clients: Clients, request_id: str) -> list[tuple[str, str]]:
    return [
        (o.role, "read" if o.operation == "read" else o.path)
        for o in vault_operations(clients, request_id)
    ]


async def test_a_key_of_high_assurance_is_handed_over_wrapped_and_serves(
    clients: Clients,
) -> None:
    name, api_key = unused_name("high"), make_key()
    await alice(clients).create_key(name, api_key, assurance=key_pb.KEY_ASSURANCE_HIGH)
    verified = await alice(clients).verified(name)
    await alice(clients).create_grant(name)
    request_id = new_request_id()

    assert verified.state == key_pb.KEY_STATE_ACTIVE  # its verification was handed over so, too
    assert await ask(clients, name, request_id=request_id) == SERVED
    assert len(upstream_requests(clients, api_key)) == 1
    operations = vault_operations(clients, request_id)
    assert [step for step in _steps(clients, request_id) if step in WRAPPED] == WRAPPED
    assert len({o.tags["lease"] for o in operations if o.tags.get("lease")}) == 1
    assert {o.tags["key"] for o in operations if o.tags.get("key")} == {name}


async def test_a_key_of_standard_assurance_is_not_wrapped(clients: Clients) -> None:
    kept = await give_key(clients, "standard")
    request_id = new_request_id()

    assert await ask(clients, kept.name, request_id=request_id) == SERVED
    assert _steps(clients, request_id) == [WRAPPED[0], WRAPPED[-1]]
