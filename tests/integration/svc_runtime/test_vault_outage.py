"""Outages of Vault never look like refusals, never hang a call, and heal without a restart."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from svc_runtime.clock import SystemClock
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.session import VaultConnection, VaultSession
from tests.integration.svc_runtime.vault_side import (
    CANARY,
    DEADLINE_SECONDS,
    CountedLogin,
    VaultSide,
    answers,
    assert_severed,
    encrypt,
    eventually,
)
from tests.suspension import suspended
from tests.tcp_relay import TcpRelay


async def test_a_vault_that_is_down_at_start_is_used_once_it_is_up(
    vault_side: VaultSide, relay: TcpRelay
) -> None:
    async with vault_side.session(port=relay.port) as session:
        was_ready = session.is_ready
        with pytest.raises(VaultUnavailableError):
            await session.call(encrypt("x"), {})

        await relay.open()
        await eventually(answers(session))

        assert (was_ready, session.is_ready) == (False, True)


async def test_a_vault_that_goes_down_is_an_outage_until_it_is_back(
    vault_side: VaultSide, relay: TcpRelay
) -> None:
    login = CountedLogin(vault_side.login)
    await relay.open()
    async with vault_side.session(login, relay.port) as session:
        await session.call(encrypt("x"), {})
        await relay.shut()
        with pytest.raises(VaultUnavailableError):
            await session.call(encrypt("x"), {})

        await relay.open()

        assert (await session.call(encrypt("x"), {}))["data"]
    assert login.count == 1


@pytest.mark.parametrize(
    ("session_seconds", "call_seconds"), [(0.3, None), (60.0, 0.3)], ids=["session", "call"]
)
async def test_a_vault_that_hangs_is_an_outage_when_time_is_up(
    vault_side: VaultSide, relay: TcpRelay, session_seconds: float, call_seconds: float | None
) -> None:
    await relay.open()
    async with vault_side.session(port=relay.port, timeout_seconds=session_seconds) as session:
        relay.freeze()
        async with asyncio.timeout(DEADLINE_SECONDS):
            with pytest.raises(VaultUnavailableError):
                await session.call(encrypt("x"), {}, timeout_seconds=call_seconds)
        relay.thaw()

        assert (await session.call(encrypt("x"), {}, timeout_seconds=DEADLINE_SECONDS))["data"]


async def test_a_suspended_vault_is_an_outage_when_time_is_up(vault_side: VaultSide) -> None:
    async with vault_side.session(timeout_seconds=0.3) as session:
        with suspended(vault_side.openbao.pid), pytest.raises(VaultUnavailableError):
            async with asyncio.timeout(DEADLINE_SECONDS):
                await session.call(encrypt("x"), {})
        await eventually(answers(session))


async def test_a_vault_that_is_sealed_and_then_stopped_is_an_outage_until_it_is_back(
    vault_side: VaultSide,
) -> None:
    openbao = vault_side.openbao
    login = CountedLogin(vault_side.login)
    async with vault_side.session(login) as session:
        try:
            openbao.client().sys.seal()
            with pytest.raises(VaultUnavailableError):
                await session.call(encrypt("x"), {})
            await asyncio.to_thread(openbao.stop)
            with pytest.raises(VaultUnavailableError):
                await session.call(encrypt("x"), {})
        finally:
            await asyncio.to_thread(openbao.stop)
            await asyncio.to_thread(openbao.start)
        await eventually(answers(session))

    assert login.count == 1


async def test_a_certificate_of_an_unknown_ca_is_an_outage(vault_side: VaultSide) -> None:
    connection = VaultConnection(vault_side.openbao.address)
    async with VaultSession(connection, vault_side.login, SystemClock()) as session:
        with pytest.raises(VaultUnavailableError):
            await session.call(encrypt("x"), {})


async def test_closing_does_not_wait_for_a_vault_that_hangs(
    vault_side: VaultSide, relay: TcpRelay
) -> None:
    await relay.open()
    session = vault_side.session(port=relay.port, timeout_seconds=60.0)
    await session.start()
    relay.freeze()

    async with asyncio.timeout(DEADLINE_SECONDS):
        await session.close()


@pytest.mark.parametrize("outage", ["refused", "hanging"])
async def test_an_outage_error_holds_nothing_of_the_request(
    vault_side: VaultSide, relay: TcpRelay, outage: str
) -> None:
    await relay.open()
    async with vault_side.session(port=relay.port, timeout_seconds=0.3) as session:
        if outage == "refused":
            await relay.shut()
        else:
            relay.freeze()
        with capture_logs() as events, pytest.raises(VaultUnavailableError) as caught:
            await session.call(encrypt(CANARY), {"X-Keyturn-Request-Id": CANARY})

    assert_severed(caught.value)
    assert CANARY not in str(events)
