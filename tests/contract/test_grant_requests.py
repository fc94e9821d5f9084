"""Requests for grants on a real Vault: one document for each owner, with or without keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.grant_requests import GrantRequest, GrantRequests
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_grant_requests import KvGrantRequests
from tests.contract.vault_under_test import VaultUnderTest, new_name, tags_of
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import make_terms


async def test_requests_are_kept_changed_and_destroyed_by_check_and_set(
    vault: VaultUnderTest,
) -> None:
    name = new_name()
    tags, owner = tags_of(name), name.owner
    request = GrantRequest("0" * 16, name, make_terms(), "Rechnungen prüfen", "dev", START)
    async with vault.session("keyvault-svc") as session:
        store = KvGrantRequests(KvDocuments(session))
        await store.remove(owner, tags)
        await store.write(GrantRequests(owner, (request,)), tags)
        stored = await store.read(owner, tags)
        assert stored.requests == (request,)

        declined = request.declined("alice", "Nein.", START)
        await store.write(stored.replaced(declined), tags)
        with pytest.raises(KeyChangedMeanwhileError):
            await store.write(stored, tags)
        assert (await store.read(owner, tags)).requests == (declined,)

        for _ in range(2):
            await store.remove(owner, tags)
        assert await store.read(owner, tags) == GrantRequests(owner)


async def test_as_many_long_requests_as_an_owner_may_have_can_be_stored(
    vault: VaultUnderTest,
) -> None:
    name = new_name()
    tags, owner = tags_of(name), name.owner
    terms = make_terms(models=tuple(f"{'m' * 80}{number}" for number in range(5)))
    requests = GrantRequests(owner)
    for number in range(100):
        widest = '"\U0001f511<' * 160  # what takes the most room in JSON
        asked = GrantRequest(f"{number:016x}", name, terms, widest, f"dev{number}", START)
        requests = requests.added(replace(asked, answer="<" * 200))
    async with vault.session("keyvault-svc") as session:
        store = KvGrantRequests(KvDocuments(session))
        await store.remove(owner, tags)
        await store.write(requests, tags)

        assert (await store.read(owner, tags)).requests == requests.requests
        await store.remove(owner, tags)
