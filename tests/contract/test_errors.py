"""What each server's refusals and outages become."""

from __future__ import annotations

import pytest

from svc_runtime.vault.errors import (
    VaultBadRequestError,
    VaultNotFoundError,
    VaultUnavailableError,
)
from svc_runtime.vault.session import VaultSession
from tests.contract.vault_under_test import VaultUnderTest, new_name

_SELF = "/v1/auth/token/lookup-self"


async def _accessor(session: VaultSession) -> str:
    answer = await session.call(lambda adapter: adapter.get(_SELF), {})
    return str(answer["data"]["accessor"])


async def test_a_missing_path_is_not_found(vault: VaultUnderTest) -> None:
    path = f"/v1/keyturn-kv/data/{new_name()}"
    async with vault.session("keyvault-svc") as session:
        with pytest.raises(VaultNotFoundError):
            await session.call(lambda adapter: adapter.get(path), {})


async def test_a_ciphertext_that_is_none_is_a_bad_request(vault: VaultUnderTest) -> None:
    body = {"ciphertext": "vault:v1:AAAA", "context": "YQ=="}
    async with vault.session("gateway-svc") as session:
        with pytest.raises(VaultBadRequestError):
            await session.call(
                lambda adapter: adapter.post("/v1/keyturn-transit/decrypt/openai", json=body), {}
            )


async def test_what_the_policy_denies_is_an_outage(vault: VaultUnderTest) -> None:
    async with vault.session("gateway-svc") as session:
        with pytest.raises(VaultUnavailableError):
            await session.call(lambda adapter: adapter.get("/v1/sys/mounts"), {})


async def test_a_revoked_token_is_replaced_by_a_login(vault: VaultUnderTest) -> None:
    async with vault.session("gateway-svc") as session:
        revoked = await _accessor(session)
        vault.server.client().auth.token.revoke_accessor(revoked)

        assert await _accessor(session) != revoked


async def test_a_sealed_server_is_an_outage(own_vault: VaultUnderTest) -> None:
    async with own_vault.session("keyvault-svc") as session:
        await _accessor(session)
        own_vault.server.client().sys.seal()

        with pytest.raises(VaultUnavailableError):
            await session.call(lambda adapter: adapter.get(_SELF), {}, timeout_seconds=1.0)
