"""The wrapped hand-off: taken once, by whom it is for, and only what the key service wrapped."""

from __future__ import annotations

import pytest

from gateway_svc.domain.errors import HandoffForgedError, HandoffSpentError
from keyvault_svc.vault.response_wrapper import ResponseWrapper
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultUnavailableError
from tests.contract.vault_under_test import VaultUnderTest, new_name, new_plaintext, tags_of

_LONGEST_SECONDS = 30


async def test_a_wrapped_key_is_taken_once(vault: VaultUnderTest) -> None:
    name, plaintext = new_name(), new_plaintext()
    (ciphertext,) = (await vault.given(name, plaintext)).ciphertexts
    async with vault.session("keyvault-svc") as session:
        token = await ResponseWrapper(session).wrap(ciphertext, tags_of(name), _LONGEST_SECONDS)

    assert await vault.opened(name, token=token) == plaintext
    with pytest.raises(HandoffSpentError):
        await vault.opened(name, token=token)


async def test_what_somebody_else_wrapped_is_not_taken(vault: VaultUnderTest) -> None:
    name = new_name()
    await vault.given(name, new_plaintext())
    answer = vault.server.client().adapter.get(f"/v1/keyturn-kv/data/{name}", wrap_ttl="30s")
    token = SecretBytes(answer["wrap_info"]["token"].encode())

    for _ in range(2):  # it is left where it is
        with pytest.raises(HandoffForgedError):
            await vault.opened(name, token=token)


@pytest.mark.parametrize("seconds", [0, _LONGEST_SECONDS + 1, 3600])
async def test_the_policy_bounds_how_long_it_is_wrapped(
    vault: VaultUnderTest, seconds: int
) -> None:
    name = new_name()
    async with vault.session("keyvault-svc") as session:
        with pytest.raises(VaultUnavailableError):
            await ResponseWrapper(session).wrap("vault:v1:x", tags_of(name), seconds)


async def test_the_gateway_can_wrap_nothing(vault: VaultUnderTest) -> None:
    name = new_name()
    async with vault.session("gateway-svc") as session:
        with pytest.raises(VaultUnavailableError):
            await ResponseWrapper(session).wrap("vault:v1:x", tags_of(name), 10)
