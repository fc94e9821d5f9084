"""What is held on an owner: shown to them whole, and destroyed with a report."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import operator_service_pb2 as operator_pb
from keyturn.keyvault.v1 import owner_service_pb2 as owner_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn_cli.local.layout import DEMO_APP
from keyturn_cli.standin.standin_keys import make_key
from tests.e2e.asking import SERVED, ask
from tests.e2e.clients import DEADLINE_SECONDS, Clients
from tests.e2e.operators import controls, operate, operator, suspend
from tests.e2e.owners import Owner, alice, give_key, sign_in

_POLL_SECONDS = 0.05
PLACES = ["vault_backups", "vault_audit_log", "service_logs", "operator_controls"]


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
    assert [notice.place for notice in export.retention_notices] == [*PLACES, "limit_store"]
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


async def _limit(clients: Clients, own_name: str) -> None:
    """Have an operator bound what the owner takes in a month."""
    limits = operator_pb.OwnerLimits(
        owner=own_name, limits=limits_pb.Limits(tokens_per_month=1_000_000)
    )
    request = operator_pb.SetOwnerLimitsRequest(owner_limits=limits)
    await operate(operator(clients), "SetOwnerLimits", request)


async def _decided(clients: Clients, own_name: str) -> tuple[list[str], list[str]]:
    """Return what is suspended of the owner, and whether they have limits of their own."""
    found = await controls(operator(clients))
    suspended = [s.subject for s in found.suspensions if s.subject.startswith(own_name)]
    return suspended, [limits.owner for limits in found.owner_limits if limits.owner == own_name]


async def _taken(clients: Clients, own_name: str) -> tuple[int, int]:
    """Return how many requests are told of the owner's usage, and what the month's budget lost."""
    month = datetime.now(UTC).date().replace(day=1)
    request = usage_pb.GetUsageRequest(name=own_name, since_date=month.isoformat())
    usage = await operator(clients).call("GetUsage", request)
    budgets = [s for s in usage.standings if s.kind == limits_pb.LIMIT_KIND_TOKENS_PER_MONTH]
    told = sum(row.request_count for row in usage.rows)
    return told, sum(budget.used + budget.held for budget in budgets)


async def _settled(clients: Clients, own_name: str) -> int:
    """Return what the month's budget lost, once a request is settled."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            told, taken = await _taken(clients, own_name)
            if told:
                return taken
            await asyncio.sleep(_POLL_SECONDS)


async def test_an_export_holds_what_others_asked_and_what_operators_decided(
    clients: Clients,
) -> None:
    owner, own_name, names = await _owner_with_keys(clients)
    terms = grant_pb.Grant(app=DEMO_APP, models=["*"], endpoints=["*"])
    asked = request_pb.GrantRequest(grant=terms, reason="a drill of ours")
    await alice(clients).call(
        "CreateGrantRequest",
        request_pb.CreateGrantRequestRequest(parent=names[0], grant_request=asked),
    )
    await _limit(clients, own_name)
    await suspend(operator(clients), names[0])

    export = await owner.call("ExportOwner", owner_pb.ExportOwnerRequest(name=own_name))

    assert [(r.requester, r.reason) for r in export.grant_requests] == [
        ("alice", "a drill of ours")
    ]
    assert export.limits == limits_pb.Limits(tokens_per_month=1_000_000)
    assert [suspension.subject for suspension in export.suspensions] == [names[0]]
    await operator(clients).call("EraseOwner", owner_pb.EraseOwnerRequest(name=own_name))


async def test_usage_goes_with_its_owner_but_neither_a_suspension_nor_a_budget_ends_by_their_hand(
    clients: Clients,
) -> None:
    owner, own_name, names = await _owner_with_keys(clients)
    erase = owner_pb.EraseOwnerRequest(name=own_name)
    await _limit(clients, own_name)
    assert await ask(clients, names[0]) == SERVED
    await suspend(operator(clients), own_name)
    taken = await _settled(clients, own_name)
    assert taken > 0

    by_owner = await owner.call("EraseOwner", erase)

    assert by_owner.forgotten_entry_count > 0
    assert await _taken(clients, own_name) == (0, taken)
    assert await _decided(clients, own_name) == ([own_name], [own_name])
    kept = {notice.place for notice in by_owner.retention_notices} - set(PLACES)
    assert kept == {"limit_store"}

    by_operator = await operator(clients).call("EraseOwner", erase)

    assert (by_operator.ended_suspension_count, by_operator.has_ended_limits) == (1, True)
    assert await _decided(clients, own_name) == ([], [])
    assert [notice.place for notice in by_operator.retention_notices] == PLACES
    await _limit(clients, own_name)
    assert await _taken(clients, own_name) == (0, 0)
    await operator(clients).call("EraseOwner", erase)


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
