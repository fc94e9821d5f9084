"""How a session keeps a valid token: login, renewal, and what follows a refusal."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from svc_runtime.vault.errors import VaultUnavailableError
from tests.integration.svc_runtime.vault_side import (
    CountedLogin,
    TurnableClock,
    VaultSide,
    answers,
    encrypt,
    eventually,
    read,
)


async def test_a_revoked_token_is_replaced_by_one_login_for_all_calls(
    vault_side: VaultSide,
) -> None:
    login = CountedLogin(vault_side.login)
    async with vault_side.session(login) as session:
        vault_side.revoke_tokens()

        served = await asyncio.gather(*(session.call(encrypt("x"), {}) for _ in range(20)))

    assert len(served) == 20
    assert login.count == 2


async def test_a_denied_operation_is_our_outage_and_causes_one_login_only(
    vault_side: VaultSide,
) -> None:
    login = CountedLogin(vault_side.login)
    async with vault_side.session(login) as session:
        with capture_logs() as events:
            refused = await asyncio.gather(
                *(session.call(read("forbidden"), {}) for _ in range(10)), return_exceptions=True
            )
            with pytest.raises(VaultUnavailableError):
                await session.call(read("forbidden"), {})

    assert {type(error) for error in refused} == {VaultUnavailableError}
    assert [event["event"] for event in events].count("vault_denied") == 11
    assert login.count == 2


async def test_denials_cause_another_login_after_five_seconds(vault_side: VaultSide) -> None:
    login, clock = CountedLogin(vault_side.login), TurnableClock()
    async with vault_side.session(login, clock=clock) as session:
        for ahead_seconds in (0.0, 4.0, 5.5):
            clock.ahead_seconds = ahead_seconds
            with pytest.raises(VaultUnavailableError):
                await session.call(read("forbidden"), {})

    assert login.count == 3


async def test_a_replaced_credential_file_heals_a_session_whose_login_was_refused(
    vault_side: VaultSide,
) -> None:
    clock = TurnableClock()
    async with vault_side.session(clock=clock) as session:
        vault_side.void_credential()
        vault_side.revoke_tokens()
        with pytest.raises(VaultUnavailableError):
            await session.call(encrypt("x"), {})

        vault_side.write_credential()
        clock.ahead_seconds = 5.5

        assert (await session.call(encrypt("x"), {}))["data"]


async def test_a_session_without_a_credential_starts_and_logs_in_once_it_is_there(
    vault_side: VaultSide,
) -> None:
    secret_id_file = vault_side.login.secret_id_file
    secret_id = secret_id_file.read_text()
    secret_id_file.unlink()
    with capture_logs() as events:
        async with vault_side.session() as session:
            was_ready = session.is_ready
            with pytest.raises(VaultUnavailableError):
                await session.call(encrypt("x"), {})

            secret_id_file.write_text(secret_id)
            await eventually(answers(session))

            assert (was_ready, session.is_ready) == (False, True)
    assert ("vault_login_failed", "a credential file cannot be read") in [
        (event["event"], event.get("cause")) for event in events
    ]


async def test_a_token_is_renewed_before_it_expires(vault_side: VaultSide) -> None:
    vault_side.make_role(token_ttl="2s", token_max_ttl="1h")
    login = CountedLogin(vault_side.login)
    with capture_logs() as events:
        async with vault_side.session(login) as session:

            async def _has_renewed() -> bool:
                return any(event["event"] == "vault_token_renewed" for event in events)

            await eventually(_has_renewed)

            assert (await session.call(encrypt("x"), {}))["data"]
            assert session.is_ready
    assert login.count == 1


async def test_a_token_that_cannot_be_renewed_is_replaced_without_waiting_for_a_call(
    vault_side: VaultSide,
) -> None:
    vault_side.make_role(token_ttl="2s", token_max_ttl="1h")
    login = CountedLogin(vault_side.login)
    async with vault_side.session(login):
        vault_side.revoke_tokens()

        async def _has_logged_in_anew() -> bool:
            return login.count == 2

        await eventually(_has_logged_in_anew)


@pytest.mark.parametrize(
    "role",
    [
        pytest.param({"token_ttl": "3s", "token_max_ttl": "3s"}, id="maximum TTL"),
        pytest.param({"token_ttl": "3s", "token_type": "batch"}, id="batch token"),
    ],
)
async def test_a_token_that_cannot_be_prolonged_is_replaced_before_it_expires(
    vault_side: VaultSide, role: dict[str, str]
) -> None:
    vault_side.make_role(**role)
    login = CountedLogin(vault_side.login)
    async with vault_side.session(login) as session:

        async def _has_logged_in_anew() -> bool:
            assert session.is_ready
            return login.count == 2

        await eventually(_has_logged_in_anew)

        assert (await session.call(encrypt("x"), {}))["data"]


async def test_closing_revokes_the_token_and_ends_the_session(vault_side: VaultSide) -> None:
    session = vault_side.session()
    await session.start()
    keeper = session._keeper
    assert keeper is not None
    token = keeper.token
    assert token is not None
    assert vault_side.is_known(token)

    await session.close()
    await session.close()

    assert not vault_side.is_known(token)
    assert not session.is_ready
    with pytest.raises(VaultUnavailableError):
        await session.call(encrypt("x"), {})
