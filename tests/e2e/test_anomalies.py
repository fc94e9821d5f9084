"""Unusual use is found by whichever replica, told once, and may suspend the key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from keyturn_cli.local.layout import DEMO_APP
from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.asking import SERVED, ask, ask_often
from tests.e2e.breaking import log_lines, until
from tests.e2e.clients import Clients
from tests.e2e.event_receivers import EventReceivers, Told
from tests.e2e.operators import controls, operator, resume
from tests.e2e.owners import OwnedKey, alice, give_key
from tests.valkey_server import ValkeyServer

pytestmark = pytest.mark.timeout(120)
GATEWAYS = (1, 2)
KEY_SERVICES = ("keyvault-svc", "keyvault-svc-2")
FEW, MANY = 5, 20
# A grant is known from its first request on, and a handful in an hour is a spike.
ANOMALIES = f"""
[anomalies]
every_seconds = 0.2
learn_days = 0
learn_requests = 0
min_requests = {MANY}
min_late = {FEW}
suspend = ["rate_spike"]
"""


@pytest.fixture(name="receivers", scope="module")
def _receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventReceivers]:
    with EventReceivers(tmp_path_factory.mktemp("receivers")) as receivers:
        yield receivers


@pytest.fixture(name="valkey", scope="module")
def _valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey


@pytest.fixture(name="watched", scope="module")
def _watched(
    tmp_path_factory: pytest.TempPathFactory,
    canary_key: SecretBytes,
    transcript: list[str],
    receivers: EventReceivers,
    valkey: ValkeyServer,
) -> Iterator[Clients]:
    """Clients of a stack of two replicas that finds unusual use within a second."""
    home = tmp_path_factory.mktemp("watched") / "home"
    stack = LocalStack(home, Upstream(None, canary_key, "standin"), replicas=2)
    stack.variant = Variant(redis_address=valkey.address, more=receivers.settings + ANOMALIES)
    with stack:
        yield Clients(stack, transcript)


async def _told(receivers: EventReceivers, key: OwnedKey, event_type: str) -> list[Told]:
    """Wait until the receiver has heard of *event_type* about *key*."""

    async def look() -> list[Told]:
        return [t for t in receivers.told if (t.data["key"], t.type) == (key.name, event_type)]

    return await until(look, bool)


async def _logged(clients: Clients, **fields: object) -> list[dict[str, Any]]:
    """Wait until a key service, whichever it is, has logged a line that has all of *fields*."""

    async def look() -> list[dict[str, Any]]:
        return [line for name in KEY_SERVICES for line in log_lines(clients, name, **fields)]

    return await until(look, bool)


async def test_a_spike_over_all_replicas_is_told_once_and_suspends_the_key_until_it_is_resumed(
    watched: Clients, receivers: EventReceivers
) -> None:
    key = await give_key(watched, "spike")
    other = await give_key(watched, "beside")
    assert await ask_often(watched, key.name, FEW) == [SERVED] * FEW

    heard = {
        outcome for n in GATEWAYS for outcome in await ask_often(watched, key.name, MANY, replica=n)
    }
    (told,) = await _told(receivers, key, "anomaly")
    (stopped,) = await _told(receivers, key, "suspended")

    assert heard <= {SERVED, "SUSPENDED"}
    assert {await ask(watched, key.name, replica=n) for n in GATEWAYS} == {"SUSPENDED"}
    assert await ask(watched, other.name) == SERVED
    assert told.data["app"] == DEMO_APP
    assert told.facts["what"].endswith("is at most 0 an hour; the key is suspended")
    assert stopped.facts == {"what": key.name}
    (stop,) = [s for s in (await controls(operator(watched))).suspensions if s.subject == key.name]
    assert stop.creator == "anomalies"
    assert stop.reason.startswith("anomaly rate_spike of grant ")
    (entry,) = await _logged(watched, event="suspended", key=key.name)
    assert (entry["caller"], entry["level"]) == ("anomalies", "warning")
    (found,) = await _logged(watched, event="anomaly", key=key.name)
    assert (found["cause"], found["app"]) == ("rate_spike", DEMO_APP)

    assert await resume(operator(watched), key.name)
    again = {
        outcome for n in GATEWAYS for outcome in await ask_often(watched, key.name, MANY, replica=n)
    }
    late = await _used_after_revocation(watched, receivers)

    assert again == {SERVED}
    assert await ask(watched, key.name) == SERVED  # though later findings were judged since
    assert late.facts["what"].endswith("though the grant is revoked; normal are none")
    assert len(await _told(receivers, key, "anomaly")) == 1


async def _used_after_revocation(clients: Clients, receivers: EventReceivers) -> Told:
    """Call on by a revoked grant, until that is told."""
    key = await give_key(clients, "revoked-grant")
    (grant,) = await alice(clients).list_grants(key.name)
    await alice(clients).revoke_grant(grant.name)
    assert set(await ask_often(clients, key.name, FEW)) == {"GRANT_REVOKED"}
    (told,) = await _told(receivers, key, "anomaly")
    return told


async def test_what_is_kept_of_a_grant_holds_no_app_and_no_address(
    watched: Clients, valkey: ValkeyServer
) -> None:
    key = await give_key(watched, "kept")
    (grant,) = await alice(watched).list_grants(key.name)
    name = f"keyturn:{{users/alice}}:baseline:{grant.name.rpartition('/')[2]}"
    assert await ask(watched, key.name) == SERVED

    async with Redis(port=valkey.port, decode_responses=True, protocol=2) as client:

        async def look() -> list[str]:
            return [str(word) for word in await client.zrange(name, 0, -1)]

        words = await until(look, lambda seen: any(word.startswith("peak") for word in seen))

    assert {word.partition(":")[0] for word in words} == {
        "last",
        "now",
        "uses",
        "at",
        "model",
        "peak",
    }
    assert DEMO_APP not in json.dumps(words)
    assert "127.0.0" not in json.dumps(words)
