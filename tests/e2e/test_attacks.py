"""The table of attacks: each is refused with its reason, recorded, and gets nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn_cli.local.layout import DEMO_APP, OTHER_APP
from keyturn_cli.local.local_vault import LocalVault
from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.clock import SystemClock
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e import attack_apps, attack_gateway, attack_people, attack_strict, attack_tokens
from tests.e2e.attack_gateway import settle
from tests.e2e.attack_settlement import AFTER, BEFORE, UNKNOWN, open_lease, settle_truly
from tests.e2e.attack_table import KEY_SERVICE, Attack, Scene, records_of
from tests.e2e.breaking import SERVED, by_owner, logged, until
from tests.e2e.clients import Clients, new_request_id
from tests.e2e.evidence import upstream_requests, vault_operations
from tests.e2e.identities import is_recorded_once
from tests.e2e.operators import auditor, operator
from tests.e2e.owners import OwnedKey, Owner, alice, give_key, keep_key, sign_in, unused_name

ATTACKS = [
    *attack_apps.ATTACKS,
    *attack_tokens.ATTACKS,
    *attack_people.ATTACKS,
    *attack_gateway.ATTACKS,
]


@pytest.fixture(scope="module")
def scene(clients: Clients) -> Scene:
    """Keys of alice's, and people who are not alice."""
    return asyncio.run(_set_scene(clients))


async def _set_scene(clients: Clients) -> Scene:
    key = await give_key(clients, "attacked")
    guarded = await keep_key(clients, "guarded")
    for app in (DEMO_APP, OTHER_APP):
        await alice(clients).create_grant(guarded.name, app, needs_app_proof=True)
    present = await give_key(clients, "present", needs_owner_presence=True)
    people = {"auditor": auditor(clients), "operator": operator(clients)}
    return Scene(clients, key, guarded, present, sign_in(clients, "bob"), people)


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes, transcript: list[str]
) -> Iterator[Scene]:
    """A deployment that asks for a second factor, sets ceilings, and trusts a test's issuer."""
    folder = tmp_path_factory.mktemp("strict")
    stack = LocalStack(folder / "home", Upstream(None, canary_key, "standin"), is_seeded=False)
    stack.variant = Variant(asks_second_factor=True, more=attack_strict.CEILINGS)
    with attack_strict.issuer_of_any_time(folder) as issuer, stack:
        clients = Clients(stack, transcript)
        attack_strict.trust_only(clients, issuer)
        asyncio.run(_restart_key_service(clients))
        yield asyncio.run(_set_strict_scene(clients))


async def _set_strict_scene(clients: Clients) -> Scene:
    stack = clients.stack
    vault = LocalVault(stack.openbao.client(), stack.layout, SystemClock())
    strong = Owner(clients, vault.second_factor_token().expose().decode("ascii"))
    key = OwnedKey(unused_name("strict"), make_key())
    await strong.create_key(key.name, key.api_key)
    await strong.verified(key.name)
    await strong.create_grant(key.name, **attack_strict.terms())
    return Scene(clients, key, key, key, strong, {"strong": strong})


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
async def test_an_attack_is_refused_with_its_reason_recorded_and_gets_nothing(
    scene: Scene, attack: Attack
) -> None:
    await _is_refused(scene, attack)


@pytest.mark.parametrize("attack", attack_strict.ATTACKS, ids=str)
async def test_an_attack_on_a_strict_deployment_is_refused_likewise(
    strict: Scene, attack: Attack
) -> None:
    await _is_refused(strict, attack)


@pytest.mark.parametrize("honest", attack_strict.WITHIN_SKEW)
async def test_clocks_may_differ_by_less_than_half_a_minute(strict: Scene, honest: str) -> None:
    scene = replace(strict, request_id=new_request_id())

    assert await attack_strict.WITHIN_SKEW[honest](scene) == SERVED


async def test_a_second_factor_goes_stale(strict: Scene) -> None:
    attack_strict.shorten_factors(strict.clients)
    await _restart_key_service(strict.clients)
    await asyncio.sleep(attack_strict.seconds_until_stale(strict.people["strong"]))

    for attack in attack_strict.STALE:
        await _is_refused(strict, attack)


async def _restart_key_service(clients: Clients) -> None:
    clients.stack.services["keyvault-svc"].stop()
    clients.stack.services["keyvault-svc"].start()
    await until(partial(by_owner, clients), lambda heard: heard == SERVED)


async def _is_refused(scene: Scene, attack: Attack) -> None:
    """Try *attack*: its reason is heard and recorded, and no key was read out, opened or used."""
    scene, clients = replace(scene, request_id=new_request_id()), scene.clients
    served = [len(upstream_requests(clients, key.api_key)) for key in scene.keys]

    heard = await attack.make(scene)

    assert heard == attack.heard
    expected = sorted((service, attack.heard[1]) for service in attack.recorded_by)

    async def look() -> list[tuple[str, str | None]]:
        return records_of(clients, scene.request_id)

    recorded = await until(look, lambda records: len(records) >= len(expected))
    assert recorded == expected
    touched = vault_operations(clients, scene.request_id)
    assert {operation.operation for operation in touched} <= {"read"}
    assert [len(upstream_requests(clients, key.api_key)) for key in scene.keys] == served


async def _rows(scene: Scene) -> list[usage_pb.UsageRow]:
    today = datetime.now(UTC).date()
    request = usage_pb.GetUsageRequest(
        name=scene.key.name,
        since_date=(today - timedelta(days=1)).isoformat(),
        until_date=today.isoformat(),
    )
    answer: usage_pb.GetUsageResponse = await alice(scene.clients).call("GetUsage", request)
    return list(answer.rows)


async def _is_not_counted(scene: Scene, forged: lease_pb.LeaseSettlement, replica: int) -> None:
    """Report *forged* to one key service, which counts nothing, and says so in its log."""
    request_id, before = new_request_id(), await _rows(scene)
    answer = await settle(scene.clients, forged, replica=replica, request_id=request_id)

    assert (answer.settled_count, answer.duplicate_count) == (0, 1)
    assert await _rows(scene) == before
    process = KEY_SERVICE if replica == 1 else f"{KEY_SERVICE}-{replica}"
    [record] = await logged(scene.clients, process, request_id=request_id, event="rpc")
    assert (record["count"], record["detail"]) == (0, "not_all_counted")


@pytest.mark.parametrize("replica", [1, 2])
@pytest.mark.parametrize("forgery", BEFORE)
async def test_a_settlement_of_something_else_leaves_the_lease_open(
    scene: Scene, forgery: str, replica: int
) -> None:
    scene = replace(scene, request_id=new_request_id())
    opened = await open_lease(scene)

    await _is_not_counted(scene, BEFORE[forgery](scene, opened), replica)

    assert await settle_truly(scene, opened) == (1, 0)


@pytest.mark.parametrize("replica", [1, 2])
@pytest.mark.parametrize("forgery", AFTER)
async def test_a_replayed_settlement_changes_nothing(
    scene: Scene, forgery: str, replica: int
) -> None:
    scene = replace(scene, request_id=new_request_id())
    opened = await open_lease(scene)
    assert await settle_truly(scene, opened) == (1, 0)

    await _is_not_counted(scene, AFTER[forgery](scene, opened), replica)


@pytest.mark.parametrize("replica", [1, 2])
@pytest.mark.parametrize("forgery", UNKNOWN)
async def test_a_settlement_of_an_unknown_lease_is_charged_to_nobody(
    scene: Scene, forgery: str, replica: int
) -> None:
    scene = replace(scene, request_id=new_request_id())
    opened, request_id, before = await open_lease(scene), new_request_id(), await _rows(scene)

    forged = UNKNOWN[forgery](scene, opened)
    await settle(scene.clients, forged, replica=replica, request_id=request_id)

    assert await _rows(scene) == before
    process = KEY_SERVICE if replica == 1 else f"{KEY_SERVICE}-{replica}"
    assert await is_recorded_once(scene.clients, process, request_id)
    assert await settle_truly(scene, opened) == (1, 0)
