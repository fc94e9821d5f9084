"""The operators' controls: written and read by the key service, and by nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.operating import Operating
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.roles import RoleRules
from keyvault_svc.vault.kv_controls import KvControls
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.paths import CONTROLS
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.vault.errors import VaultUnavailableError
from tests.contract.vault_under_test import APP, VaultUnderTest, new_name, tags_of
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_notifier import FakeNotifier
from tests.fakes.fake_operating_log import FakeOperatingLog

NAME = new_name()
TAGS = tags_of(NAME)
BILLING = SpiffeId.parse(APP)
STOP = Suspension(Subject(None), "caf\u00e9 drill", "olga", START)
CONTROLS_OF_ALL = Controls(
    {STOP.subject: STOP}, {NAME.owner: Limits(usd_per_month=Decimal("12.5"), concurrent_calls=2)}
)


@pytest.fixture(autouse=True)
async def _nothing_stored(vault: VaultUnderTest) -> AsyncIterator[None]:
    yield
    vault.server.client().delete(f"keyturn-kv/metadata/{CONTROLS}")


async def test_what_one_replica_writes_another_reads(vault: VaultUnderTest) -> None:
    async with vault.session("keyvault-svc") as ours, vault.session("keyvault-svc") as theirs:
        first, second = KvControls(KvDocuments(ours)), KvControls(KvDocuments(theirs))
        assert await first.read(TAGS) == Controls()

        await first.write(CONTROLS_OF_ALL, TAGS)
        assert await second.read(TAGS) == replace(CONTROLS_OF_ALL, revision=1)

        await second.write(Controls(revision=1), TAGS)
        assert await first.read(TAGS) == Controls(revision=2)


async def test_of_two_replicas_that_write_at_once_one_is_refused(vault: VaultUnderTest) -> None:
    async with vault.session("keyvault-svc") as session:
        controls = KvControls(KvDocuments(session))
        await controls.write(CONTROLS_OF_ALL, TAGS)

        with pytest.raises(KeyChangedMeanwhileError):
            await controls.write(Controls(), TAGS)
        with pytest.raises(KeyChangedMeanwhileError):
            await controls.write(Controls(revision=7), TAGS)

        assert (await controls.read(TAGS)).suspended(NAME, BILLING) == STOP


async def test_what_was_decided_on_an_erased_owner_is_taken_out_of_what_is_stored(
    vault: VaultUnderTest,
) -> None:
    stop = Suspension(Subject(NAME), "a drill", "olga", START)
    operator = Person("olga", frozenset({"sre"}), RoleRules(operator_groups=frozenset({"sre"})))
    async with vault.session("keyvault-svc") as session:
        controls = KvControls(KvDocuments(session))
        await controls.write(CONTROLS_OF_ALL.with_suspension(stop), TAGS)
        operating = Operating(controls, FakeOperatingLog(), FakeNotifier(), Limits(), FakeClock())

        gone = await operating.forget(operator, NAME.owner, TAGS.request_id)

        assert (list(gone.suspensions), list(gone.owner_limits)) == ([stop.subject], [NAME.owner])
        assert await controls.read(TAGS) == Controls({STOP.subject: STOP}, revision=2)
    stored = vault.server.client().read(f"keyturn-kv/data/{CONTROLS}")
    assert stored["data"]["metadata"]["version"] == 2
    assert str(NAME.owner) not in str(stored["data"]["data"])


async def test_as_much_as_may_be_stored_is_stored(vault: VaultUnderTest) -> None:
    subjects = [Subject.parse(f"users/u{n}", "subject") for n in range(1000)]
    full = Controls({s: Suspension(s, "x" * 100, "olga", START) for s in subjects})
    async with vault.session("keyvault-svc") as session:
        controls = KvControls(KvDocuments(session))
        await controls.write(full, TAGS)

        assert await controls.read(TAGS) == replace(full, revision=1)


@pytest.mark.parametrize(
    "data", [{"record": "{}"}, {"record": 1}, {"suspensions": []}, {"record": "{}", "more": "1"}]
)
async def test_a_document_that_is_none_of_ours_is_no_pass(
    vault: VaultUnderTest, data: dict[str, object]
) -> None:
    vault.server.client().write_data(
        f"keyturn-kv/data/{CONTROLS}", data={"data": data, "options": {"cas": 0}}
    )
    async with vault.session("keyvault-svc") as session:
        with pytest.raises(KeyRecordUnreadableError):
            await KvControls(KvDocuments(session)).read(TAGS)


async def test_gateways_cannot_read_the_controls(vault: VaultUnderTest) -> None:
    async with vault.session("gateway-svc") as session:
        with pytest.raises(VaultUnavailableError):
            await KvControls(KvDocuments(session)).read(TAGS)
