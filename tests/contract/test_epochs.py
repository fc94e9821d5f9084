"""The versions of the transit key, as the maintenance job moves them."""

from __future__ import annotations

import pytest

from gateway_svc.domain.errors import SealedKeyUnusableError
from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.rewrap_ports import Epochs
from keyvault_svc.vault.transit_key_epochs import TransitKeyEpochs
from svc_runtime.vault.errors import VaultUnavailableError
from tests.contract.vault_under_test import VaultUnderTest, new_name, new_plaintext, tags_of


async def test_an_old_ciphertext_opens_until_the_minimum_is_raised(
    own_vault: VaultUnderTest,
) -> None:
    name, plaintext = new_name(), new_plaintext()
    (old,) = (await own_vault.given(name, plaintext)).ciphertexts
    async with own_vault.session("keyvault-maintenance") as session:
        epochs = TransitKeyEpochs(session)
        await epochs.rotate()
        assert await epochs.current() == Epochs(latest=2, minimum=1)
        (new,) = await epochs.rewrap(name, [old], tags_of(name))
        assert [await own_vault.opened(name, c) for c in (old, new)] == [plaintext] * 2

        await epochs.raise_minimum(2)
        await epochs.raise_minimum(2)

        assert await epochs.current() == Epochs(latest=2, minimum=2)
        assert await own_vault.opened(name, new) == plaintext
        with pytest.raises(SealedKeyUnusableError):
            await own_vault.opened(name, old)
        with pytest.raises(KeyRecordUnreadableError):
            await epochs.rewrap(name, [old], tags_of(name))


async def test_a_ciphertext_of_another_name_is_not_sealed_anew(vault: VaultUnderTest) -> None:
    (ciphertext,) = (await vault.given(new_name(), new_plaintext())).ciphertexts
    other = new_name()
    async with vault.session("keyvault-maintenance") as session:
        with pytest.raises(KeyRecordUnreadableError):
            await TransitKeyEpochs(session).rewrap(other, [ciphertext], tags_of(other))


@pytest.mark.parametrize("role", ["keyvault-svc", "gateway-svc"])
async def test_no_service_can_rotate_or_raise_the_minimum(vault: VaultUnderTest, role: str) -> None:
    async with vault.session(role) as session:
        for attempt in (TransitKeyEpochs(session).rotate, TransitKeyEpochs(session).current):
            with pytest.raises(VaultUnavailableError):
                await attempt()
        with pytest.raises(VaultUnavailableError):
            await TransitKeyEpochs(session).raise_minimum(1)
