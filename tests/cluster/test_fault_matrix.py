"""Whatever happens to Vault, no key is lost, none is served after its revocation, and all recover.

Each cell lets one fault strike while something goes on. It measures how long it takes until every
gateway and every key service serves again, by itself.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from tests.cluster.activities import ACTIVITIES
from tests.cluster.calling import (
    OUTAGES,
    REFUSED,
    REPLICAS,
    Caller,
    Heard,
    Protocol,
    calling,
    meanwhile,
)
from tests.cluster.faults import FAULTS
from tests.cluster.leading import turns
from tests.cluster.scene import Scene
from tests.e2e.breaking import SERVED
from tests.e2e.owners import alice, keep_key

_RECOVERY_SECONDS = 45.0
_OUTAGE_SECONDS = 1.0
_PAUSE_SECONDS = 0.1

# `make test` lets each fault strike once, and something go on meanwhile; `make test-cluster` tries
# every cell.
_ALWAYS = set(zip(FAULTS, itertools.cycle(("50 calls", "rotation", "rewrap")), strict=False))
_CELLS = [
    pytest.param(*cell, marks=() if cell in _ALWAYS else pytest.mark.matrix)
    for cell in itertools.product(FAULTS, ACTIVITIES)
]


@pytest.mark.parametrize(("fault", "activity"), _CELLS)
async def test_a_fault_loses_nothing_serves_nothing_revoked_and_passes(
    scene: Scene,
    recovery_times: dict[tuple[str, str], float],
    fault: str,
    activity: str,
) -> None:
    clients, protocol = scene.clients, Protocol()
    before = turns(scene.cluster)
    async with calling(clients) as caller:
        await _until_served(scene, caller)
        grant = await alice(clients).create_grant(scene.revocable.name)
        ledger = await keep_key(clients, "ledger")
        revision = scene.revision(ledger.name)
        async with (
            ACTIVITIES[activity](scene, caller, protocol),
            meanwhile(lambda over: _ask_on(scene, caller, protocol, over)),
        ):
            await _until_asked(protocol)
            protocol.has_elected = turns(scene.cluster) > before
            begin = protocol.fault_begin = time.monotonic()
            with FAULTS[fault].strike(scene.cluster):
                recovery = asyncio.create_task(_recovery(scene, caller, protocol, ledger.name))
                revocation = asyncio.create_task(_revoke(scene, caller, protocol, grant.name))
                if FAULTS[fault].is_survived:
                    await asyncio.gather(recovery, revocation)
                else:
                    await asyncio.sleep(_OUTAGE_SECONDS)
                    begin = time.monotonic()
            acknowledged, tried = await recovery
            await revocation
            recovery_times[fault, activity] = time.monotonic() - begin
            scene.cluster.wait_until_whole()
        asked = itertools.product((key.name for key in scene.keys), REPLICAS)
        late = await asyncio.gather(*(_answer(partial(caller.ask, *each)) for each in asked))
        for replica in REPLICAS * len(REPLICAS):
            ask = partial(caller.ask, scene.revocable.name, replica)
            protocol.calls_of_revoked.append(await _answer(ask))

    assert protocol.unexpected() == []
    assert protocol.calls_of_revoked[-1].verdict == REFUSED
    assert {heard.verdict for heard in late} == {SERVED}
    # Every write that was acknowledged is there, and none that was done is there twice.
    apps = [granted.app for granted in await alice(clients).list_grants(ledger.name)]
    assert len(apps) == len(set(apps))
    assert acknowledged <= set(apps) <= tried
    rewrapped = 1 if activity == "rewrap" else 0
    assert scene.revision(ledger.name) == revision + len(apps) + rewrapped
    await alice(clients).delete_key(ledger.name)


async def _until_served(scene: Scene, caller: Caller) -> None:
    """Wait until all serve: what was before may have ended by an election too many."""

    async def list_keys(replica: int) -> Heard:
        return await caller.hear(alice(scene.clients, replica=replica).list_keys("users/alice"))

    for replica in REPLICAS:
        await _answer(partial(caller.ask, scene.keys[0].name, replica))
        await _answer(partial(list_keys, replica))


async def _answer(ask: Callable[[], Awaitable[Heard]]) -> Heard:
    """Ask until the answer is no outage: on a busy machine nodes elect anew after a fault, too."""
    async with asyncio.timeout(_RECOVERY_SECONDS):
        while True:
            heard = await ask()
            if heard.verdict not in OUTAGES:
                return heard
            await asyncio.sleep(_PAUSE_SECONDS)


async def _until_asked(protocol: Protocol) -> None:
    while not protocol.calls_of_revoked:  # noqa: ASYNC110 - it is a list, and there is no event
        await asyncio.sleep(_PAUSE_SECONDS)


async def _ask_on(scene: Scene, caller: Caller, protocol: Protocol, is_over: asyncio.Event) -> None:
    """Ask every gateway with the key that is being revoked, again and again."""

    async def ask_on(replica: int) -> None:
        while not is_over.is_set():
            protocol.calls_of_revoked.append(await caller.ask(scene.revocable.name, replica))
            await asyncio.sleep(_PAUSE_SECONDS)

    await asyncio.gather(*(ask_on(replica) for replica in REPLICAS))


async def _revoke(scene: Scene, caller: Caller, protocol: Protocol, grant: str) -> None:
    """Revoke *grant*, asking for it until it is done."""
    for replica in itertools.cycle(REPLICAS):
        owner = alice(scene.clients, replica=replica)
        heard = await caller.hear(owner.revoke_grant(grant))
        protocol.calls.append(heard)
        if heard.verdict == SERVED:
            protocol.revoke_end = heard.end
            return
        await asyncio.sleep(_PAUSE_SECONDS)


async def _recovery(
    scene: Scene, caller: Caller, protocol: Protocol, ledger: str
) -> tuple[set[str], set[str]]:
    """Wait until every gateway serves with every key service, and every key service writes.

    Returns:
        Apps that were granted the ledger's key: those that were acknowledged, and all.
    """
    acknowledged: set[str] = set()
    tried: set[str] = set()

    async def app_is_served(replica: int) -> None:
        in_a_row = 0
        while in_a_row < len(REPLICAS):  # a gateway asks the key services in turn
            heard = await caller.ask(scene.keys[0].name, replica)
            protocol.calls.append(heard)
            in_a_row = in_a_row + 1 if heard.verdict == SERVED else 0
            await asyncio.sleep(0 if in_a_row else _PAUSE_SECONDS)

    async def owner_is_served(replica: int) -> None:
        owner = alice(scene.clients, replica=replica)
        for number in itertools.count():
            app = f"spiffe://keyturn.local/app/w{replica}-{number}"
            tried.add(app)
            heard = await caller.hear(owner.create_grant(ledger, app))
            protocol.calls.append(heard)
            if heard.verdict == SERVED:
                acknowledged.add(app)
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    try:
        async with asyncio.timeout(_RECOVERY_SECONDS):
            await asyncio.gather(
                *(app_is_served(replica) for replica in REPLICAS),
                *(owner_is_served(replica) for replica in REPLICAS),
            )
    except TimeoutError:
        last = [heard.verdict for heard in protocol.calls[-10:]]
        pytest.fail(f"did not recover; the nodes: {scene.cluster.states()}; heard last: {last}")
    return acknowledged, tried
