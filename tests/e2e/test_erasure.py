"""What is held on an owner: shown to them whole, and destroyed with a report."""

from __future__ import annotations

import secrets

from keyturn.keyvault.v1 import owner_service_pb2 as owner_pb
from keyturn_cli.standin.standin_keys import make_key
from tests.e2e.asking import SERVED, ask
from tests.e2e.clients import Clients
from tests.e2e.owners import Owner, alice, give_key, sign_in

PLACES = ["vault_backups", "vault_audit_log", "service_logs"]


async def _owner_with_keys(clients: Clients) -> tuple[Owner, str, list[str]]:
    person = f"erin-{secrets.token_hex(3)}"
    owner = sign_in(clients, person)
    names = [f"users/{person}/keys/{key_id}" for key_id in ("first", "second")]
    for name in names:
        await owner.create_key(name, make_key())
        await owner.verified(name)
        await owner.create_grant(name)
    return owner, f"users/{person}", names


async def test_an_export_holds_everything_but_secrets(clients: Clients) -> None:
    owner, own_name, names = await _owner_with_keys(clients)

    export = await owner.call("ExportOwner", owner_pb.ExportOwnerRequest(name=own_name))

    assert export.name == own_name
    assert [exported.key.name for exported in export.keys] == names
    assert [len(exported.grants) for exported in export.keys] == [1, 1]
    assert [notice.place for notice in export.retention_notices] == PLACES
    for secret in ("vault:v", "sk-"):
        assert secret not in str(export)


async def test_an_erasure_destroys_every_key_of_one_owner_and_of_nobody_else(
    clients: Clients,
) -> None:
    bystander = await give_key(clients, "bystander")
    owner, own_name, names = await _owner_with_keys(clients)
    erase = owner_pb.EraseOwnerRequest(name=own_name)

    report = await owner.call("EraseOwner", erase)
    again = await owner.call("EraseOwner", erase)

    assert [proof.key for proof in report.proofs] == names
    assert all(proof.destroyed_version_count > 0 for proof in report.proofs)
    assert [notice.place for notice in report.retention_notices] == PLACES
    assert not again.proofs
    assert [await ask(clients, name) for name in names] == ["NOT_GRANTED"] * 2
    assert not _text_of_kv(clients, own_name)
    assert await ask(clients, bystander.name) == SERVED
    assert bystander.name in await alice(clients).list_keys("users/alice")


def _text_of_kv(clients: Clients, own_name: str) -> list[str]:
    """Return the entries of KV outside of the retirements that still name the owner."""
    admin = clients.stack.openbao.client()
    found = []
    for folder in ("fingerprints", "verifications"):
        listed = admin.list(f"keyturn-kv/metadata/{folder}")
        for entry in listed["data"]["keys"] if listed else []:
            text = str(admin.read(f"keyturn-kv/data/{folder}/{entry}"))
            found += [entry] if f"{own_name}/" in text else []
    if admin.list(f"keyturn-kv/metadata/{own_name}/keys"):
        found.append(own_name)
    return found
