"""From node to node: what a session repeats, what it never repeats, and how it gets away."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs

from keyturn_cli.local.free_ports import free_ports
from svc_runtime.clock import SystemClock
from svc_runtime.vault.answers import JSONObject
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.session import VaultConnection, VaultSession
from tests.certs import Authority
from tests.integration.svc_runtime.vault_nodes import (
    Behaviour,
    FixedLogin,
    Node,
    SilentListener,
    Site,
    Snub,
    get,
    post,
    server_context,
)
from tests.integration.svc_runtime.vault_side import (
    CANARY,
    DEADLINE_SECONDS,
    VaultSide,
    assert_severed,
    decrypt,
    encrypt,
    read,
    write,
)
from tests.live_files import whole_lines
from tests.suspension import suspended

BURST: Final = 10
UNSURE = [
    Behaviour.CUTS,
    Behaviour.CUTS_MIDWAY,
    Behaviour.REDIRECTS,
    Behaviour.BAD_GATEWAY,
    Behaviour.LOSES_LEADERSHIP,
]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
async def standby(site: Site) -> AsyncIterator[Node]:
    async with site.node(Behaviour.SERVES) as node:
        yield node


@pytest.fixture(params=["refuses", "shakes no hand", "snubs", "is a stranger"])
async def unreachable(request: pytest.FixtureRequest, site: Site) -> AsyncIterator[str]:
    """Yield the address of a node to which no connection can be made."""
    async with AsyncExitStack() as stack:
        if request.param == "refuses":
            yield f"https://127.0.0.1:{free_ports(1)[0]}"
        elif request.param == "shakes no hand":
            listener = SilentListener()
            stack.callback(listener.close)
            yield listener.address
        elif request.param == "snubs":
            snub = Snub()
            stack.callback(snub.close)
            yield await snub.start()
        else:
            foreign = server_context(Authority("stranger"), site.folder / "stranger")
            yield (await stack.enter_async_context(Node(foreign, [Behaviour.SERVES]))).address


@pytest.mark.parametrize("operation", [get, post])
async def test_a_node_that_cannot_be_reached_costs_no_call(
    site: Site, unreachable: str, standby: Node, operation: Callable[..., Awaitable[JSONObject]]
) -> None:
    async with site.session(unreachable, standby.address, timeout_seconds=3.0) as session:
        answers = [await session.call(operation, {}) for _ in range(3)]

    assert answers == [{"data": {"value": "kept"}}] * 3
    assert len(standby.requests) == 3


@pytest.mark.parametrize("behaviour", [Behaviour.SEALED, Behaviour.LEADERLESS])
@pytest.mark.parametrize("operation", [get, post])
async def test_a_node_that_says_that_it_did_nothing_is_asked_no_more(
    site: Site,
    standby: Node,
    behaviour: Behaviour,
    operation: Callable[..., Awaitable[JSONObject]],
) -> None:
    async with (
        site.node(behaviour) as node,
        site.session(node.address, standby.address) as session,
    ):
        for _ in range(3):
            assert (await session.call(operation, {}))["data"]

    assert (len(node.requests), len(standby.requests)) == (1, 3)


@pytest.mark.parametrize("behaviour", UNSURE)
@pytest.mark.parametrize("operation", [get, post])
async def test_what_a_node_may_have_done_is_not_asked_of_another(
    site: Site,
    standby: Node,
    behaviour: Behaviour,
    operation: Callable[..., Awaitable[JSONObject]],
) -> None:
    async with (
        site.node(behaviour) as node,
        site.session(node.address, standby.address) as session,
    ):
        with pytest.raises(VaultUnavailableError):
            await session.call(operation, {})
        assert (len(node.requests), len(standby.requests)) == (1, 0)

        assert (await session.call(operation, {}))["data"]

    assert (len(node.requests), len(standby.requests)) == (1, 1)


async def test_a_read_whose_kept_connection_breaks_is_not_sent_anew(
    site: Site, standby: Node
) -> None:
    async with (
        site.node(Behaviour.SERVES, Behaviour.CUTS, Behaviour.SERVES) as node,
        site.session(node.address, standby.address) as session,
    ):
        await session.call(get, {})
        with pytest.raises(VaultUnavailableError):
            await session.call(get, {})

    assert node.requests == ["GET /v1/kv/data/x HTTP/1.1"] * 2
    assert standby.requests == []


@pytest.mark.parametrize(
    ("session_seconds", "caller_seconds"), [(0.4, 20.0), (1.0, 0.7)], ids=["session", "caller"]
)
async def test_a_node_that_falls_silent_uses_up_one_call_only(
    site: Site, standby: Node, session_seconds: float, caller_seconds: float
) -> None:
    async with (
        site.node(Behaviour.SERVES, Behaviour.SILENT) as node,
        site.session(node.address, standby.address, timeout_seconds=session_seconds) as session,
    ):
        await session.call(get, {}, timeout_seconds=DEADLINE_SECONDS)
        with pytest.raises((VaultUnavailableError, TimeoutError)):
            async with asyncio.timeout(caller_seconds):
                await session.call(get, {})

        answer = await session.call(get, {}, timeout_seconds=DEADLINE_SECONDS)

    assert answer["data"]
    assert (len(node.requests), len(standby.requests)) == (2, 1)


async def test_a_node_is_not_left_for_a_caller_who_goes_away(site: Site, standby: Node) -> None:
    async with (
        site.node(Behaviour.SERVES, Behaviour.SILENT, Behaviour.SERVES) as node,
        site.session(node.address, standby.address) as session,
    ):
        await session.call(get, {})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.call(get, {})
        await session.call(get, {})

    assert standby.requests == []


async def test_repetitions_of_many_calls_stay_within_the_budget(site: Site) -> None:
    async with (
        site.node(Behaviour.SEALED) as node,
        site.session(node.address) as session,
    ):
        outcomes = await asyncio.gather(
            *(session.call(get, {}) for _ in range(40)), return_exceptions=True
        )

    assert {type(outcome) for outcome in outcomes} == {VaultUnavailableError}
    assert len(node.requests) == 40 + BURST


async def test_a_sealed_node_serves_the_very_call_that_met_it_once_it_is_unsealed(
    site: Site,
) -> None:
    async with (
        site.node(Behaviour.SEALED, Behaviour.SEALED, Behaviour.SERVES) as node,
        site.session(node.address) as session,
    ):
        assert (await session.call(post, {}))["data"]

    assert len(node.requests) == 3


async def test_a_failover_leaks_nothing_of_the_request(site: Site) -> None:
    login = FixedLogin(CANARY.encode())
    dead = [f"https://127.0.0.1:{port}" for port in free_ports(2)]
    async with (
        site.node(Behaviour.CUTS) as node,
        site.session(*dead, node.address, login=login) as session,
    ):
        with capture_logs() as events, pytest.raises(VaultUnavailableError) as caught:
            await session.call(post, {"X-Keyturn-Request-Id": CANARY})

    assert_severed(caught.value)
    assert CANARY not in str(events)
    assert {"vault_failover", "vault_unavailable"} == {event["event"] for event in events}
    assert "127.0.0.1" not in str(events)


async def test_a_real_server_behind_a_dead_address_sees_each_operation_once(
    vault_side: VaultSide, unreachable: str
) -> None:
    openbao = vault_side.openbao
    connection = VaultConnection(unreachable, openbao.ca_file, standby_addresses=(openbao.address,))
    read_id, decrypt_id = str(uuid.uuid4()), str(uuid.uuid4())
    async with VaultSession(connection, vault_side.login, SystemClock()) as session:
        await session.call(write(read_id, "kept", 0), {})
        sealed = await session.call(encrypt("x"), {})
        await session.call(read(read_id), {"X-Keyturn-Request-Id": read_id})
        await session.call(
            decrypt(sealed["data"]["ciphertext"]), {"X-Keyturn-Request-Id": decrypt_id}
        )

    assert _audited(vault_side, read_id) == _audited(vault_side, decrypt_id) == 1


async def test_a_suspended_server_costs_no_call_that_finds_another(
    site: Site, vault_side: VaultSide, standby: Node
) -> None:
    both = site.folder / "both-cas.pem"
    both.write_bytes(vault_side.openbao.ca_file.read_bytes() + site.authority.pem)
    site.ca_file = both
    async with site.session(vault_side.openbao.address, standby.address) as session:
        with suspended(vault_side.openbao.pid):
            assert (await session.call(post, {}, timeout_seconds=3.0))["data"]

    assert len(standby.requests) == 1


def _audited(side: VaultSide, request_id: str) -> int:
    lines = map(json.loads, whole_lines(side.openbao.audit_log))
    return sum(
        line["type"] == "request"
        and (line["request"].get("headers") or {}).get("x-keyturn-request-id") == [request_id]
        for line in lines
    )
