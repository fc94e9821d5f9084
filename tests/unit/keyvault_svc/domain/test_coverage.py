from __future__ import annotations

import pytest

from keyvault_svc.domain.coverage import Coverage, CoverageResult
from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.fakes.fake_key_store import FakeKeyStore
from tests.fakes.fake_rewrap_log import FakeRewrapLog
from tests.fakes.fake_vault_line import FakeVaultLine
from tests.unit.keyvault_svc.reconciling_stage import ADMIN_KEY
from tests.unit.keyvault_svc.samples import KEY, make_record

REQUEST = "request-of-the-job"
BOB = KeyName.parse("users/bob/keys/openai", "name")
CAROL = KeyName.parse("users/carol/keys/openai", "name")


class Store(FakeKeyStore):
    """Records, one of which may not be readable."""

    unreadable: KeyName | None = None

    async def read(self, name: KeyName, tags: AuditTags) -> KeyRecord | None:
        if name == self.unreadable:
            raise KeyRecordUnreadableError
        return await super().read(name, tags)


def _records() -> list[KeyRecord]:
    return [
        make_record(name=KEY).identified("key_alice0123"),
        make_record(name=BOB),
        make_record(name=CAROL).deleted(START),
        make_record(name=ADMIN_KEY),
    ]


async def _run(store: FakeKeyStore, line: FakeVaultLine) -> tuple[CoverageResult, list[float]]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    catalogue = FakeRewrapLog(line, store)
    job = Coverage(store, catalogue, ADMIN_KEY, sleep, records_per_second=10)
    return await job.run(REQUEST, lambda _done, _total: None), pauses


async def test_keys_of_all_owners_without_an_id_are_found() -> None:
    line = FakeVaultLine()

    result, pauses = await _run(FakeKeyStore(*_records(), line=line), line)

    assert result == CoverageResult(1, (BOB,), ())
    assert pauses == [0.1] * 3


async def test_a_record_that_cannot_be_read_is_told_and_the_others_are_looked_at() -> None:
    line = FakeVaultLine()
    store = Store(*_records(), line=line)
    store.unreadable = KEY

    result, _ = await _run(store, line)

    assert result == CoverageResult(0, (BOB,), (KEY,))


async def test_without_vault_nothing_is_told() -> None:
    line = FakeVaultLine()
    store = FakeKeyStore(*_records(), line=line)
    line.break_at(3)

    with pytest.raises(VaultUnavailableError):
        await _run(store, line)
