"""The rewrap job on real servers: killed anywhere, it goes on, and no record is ever lost."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, cast

import pytest

from gateway_svc.vault.transit_opener import TransitOpener
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_version import SealedKey
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import KeyStore
from keyvault_svc.domain.resealing import sealed_before
from keyvault_svc.domain.rewrap_ports import (
    OwnerCatalogue,
    RewrapLog,
    TransitEpochs,
)
from keyvault_svc.domain.rewrapping import Rewrapping, RewrapResult
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_key_store import KvKeyStore
from keyvault_svc.vault.kv_rewrap_log import KvRewrapLog
from keyvault_svc.vault.record_format import to_stored
from keyvault_svc.vault.transit_key_epochs import TransitKeyEpochs
from svc_runtime.clock import SystemClock
from tests.contract.interruption import Interrupted, Interruption, KilledError
from tests.contract.vault_under_test import VaultUnderTest, lease_of, purpose_of, tags_of

_OWNERS: Final = 30
_KEYS_EACH: Final = 10
_AT_ONCE: Final = 20
_SHORT: Final = timedelta(milliseconds=50)
_KV: Final = "keyturn-kv/data"


@dataclass
class _Job:
    """The job on a server with records, with a switch that kills it."""

    vault: VaultUnderTest
    first: int
    plaintexts: dict[KeyName, bytes] = field(default_factory=dict)
    interruption: Interruption = field(default_factory=Interruption)

    async def run(self) -> RewrapResult:
        async with self.vault.session("keyvault-maintenance") as session:
            documents = KvDocuments(session)
            log = KvRewrapLog(documents)
            job = Rewrapping(
                cast("KeyStore", Interrupted(KvKeyStore(documents), self.interruption)),
                cast("OwnerCatalogue", Interrupted(log, self.interruption)),
                cast("TransitEpochs", Interrupted(TransitKeyEpochs(session), self.interruption)),
                cast("RewrapLog", Interrupted(log, self.interruption)),
                SystemClock(),
                asyncio.sleep,
                grace=_SHORT,
                lease_time=_SHORT,
                records_per_second=1e6,
            )
            return await job.run("request-of-the-job", lambda _: None)

    def raised(self) -> tuple[int, int]:
        """Return by how much the latest epoch and the minimum have risen since the test began."""
        latest, minimum = _epochs(self.vault)
        return latest - self.first, minimum - self.first

    def stored(self, name: KeyName) -> dict[str, Any]:
        return dict(self.vault.server.client().read(f"{_KV}/{name}")["data"])

    async def lost(self) -> list[KeyName]:
        """Return the records that do not open at the gateway."""
        names = list(self.plaintexts)
        async with self._opening() as opens:
            opened = [
                is_open
                for start in range(0, len(names), _AT_ONCE)
                for is_open in await asyncio.gather(*map(opens, names[start : start + _AT_ONCE]))
            ]
        return [name for name, is_open in zip(names, opened, strict=True) if not is_open]

    @asynccontextmanager
    async def _opening(self) -> AsyncIterator[Any]:
        async with self.vault.session("keyvault-svc") as session, self.vault.opener() as opener:
            store = KvKeyStore(KvDocuments(session))

            async def opens(name: KeyName) -> bool:
                record = await store.read(name, tags_of(name))
                return await _plaintext(opener, name, record) == self.plaintexts[name]

            yield opens


async def _plaintext(opener: TransitOpener, name: KeyName, record: KeyRecord | None) -> bytes:
    assert record is not None
    assert record.current.sealed is not None
    purpose = purpose_of(name, lease_of(record.current.sealed.ciphertext))
    return (await opener.open(purpose, purpose.lease, 5.0)).expose()


@pytest.fixture
def job(rotating_vault: VaultUnderTest) -> Iterator[_Job]:
    latest, minimum = _epochs(rotating_vault)
    assert latest == minimum
    job = _Job(rotating_vault, latest)
    yield job
    for name in job.plaintexts:
        rotating_vault.server.client().delete(f"keyturn-kv/metadata/{name}")


def _epochs(vault: VaultUnderTest) -> tuple[int, int]:
    """Return latest and minimum."""
    data = vault.server.client().read("keyturn-transit/keys/openai")["data"]
    return data["latest_version"], data["min_decryption_version"]


def _fill(job: _Job, owners: int, keys_each: int) -> list[KeyName]:
    """Store records as the key service would, but an owner's sealed by one request."""
    names = [
        KeyName.parse(f"{'users' if o % 2 else 'teams'}/o{o:02d}/keys/k{k}", "name")
        for o in range(owners)
        for k in range(keys_each)
    ]
    job.plaintexts |= {name: f"sk-of-{name}".encode() for name in names}
    for start in range(0, len(names), keys_each):  # OpenBao bounds how much one request may hold
        for record in _sealed(job, names[start : start + keys_each]):
            _put(job, record, 0)
    return names


def _sealed(job: _Job, names: Sequence[KeyName]) -> list[KeyRecord]:
    batch = [
        {"plaintext": _base64(job.plaintexts[name]), "context": _base64(str(name).encode())}
        for name in names
    ]
    root = job.vault.server.client()
    answer = root.write_data("keyturn-transit/encrypt/openai", data={"batch_input": batch})
    return [
        KeyRecord.new(
            name, SealedKey(result["ciphertext"], "fingerprint"), "alice", SystemClock().now()
        )
        for name, result in zip(names, answer["data"]["batch_results"], strict=True)
    ]


def _put(job: _Job, record: KeyRecord, revision: int) -> None:
    body = {"data": {"record": to_stored(record)}, "options": {"cas": revision}}
    job.vault.server.client().write_data(f"{_KV}/{record.name}", data=body)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


_RECORDS: Final = _OWNERS * _KEYS_EACH
# Where it is killed, in the order in which the job gets there. All records are looked at first by
# `read`, and once more when they are checked.
_KILLS: Final = (
    ("save", 1, True),  # begun, and not rotated
    ("rotate", 1, True),  # rotated, and not noted
    ("rewrap", 41, True),  # sealed anew, and not stored
    ("write", 60, False),
    ("write", 60, True),  # stored, and what it supersedes not destroyed
    ("destroy_superseded", 60, True),
    ("read", _RECORDS, True),  # rewrapped, and not all checked: it goes on where it last noted
    ("raise_minimum", 1, False),
)


async def test_a_job_that_is_killed_anywhere_goes_on_and_loses_nothing(job: _Job) -> None:
    names = _fill(job, _OWNERS, _KEYS_EACH)
    for method, number, is_done in _KILLS:
        job.interruption.kill_at(method, number, is_done=is_done)
        with pytest.raises(KilledError):
            await job.run()
        assert job.raised()[1] == 0, (method, number)
        assert await job.lost() == []

    job.interruption.let_live()
    result = await job.run()

    assert job.raised() == (1, 1)
    assert (result.epochs.latest, result.epochs.minimum) == _epochs(job.vault)
    assert result.unreadable == ()
    assert len(names) == _RECORDS
    assert await job.lost() == []
    assert job.vault.server.client().list("keyturn-kv/metadata/maintenance") is None


async def test_a_job_that_is_killed_when_all_is_done_begins_no_other_epoch(job: _Job) -> None:
    _fill(job, 2, 2)
    job.interruption.kill_at("raise_minimum", 1, is_done=True)
    with pytest.raises(KilledError):
        await job.run()

    job.interruption.let_live()
    result = await job.run()

    assert (job.raised(), result.rewrapped) == ((1, 1), 0)
    assert await job.lost() == []


async def test_what_the_job_supersedes_is_destroyed(job: _Job) -> None:
    names = _fill(job, 2, 2)
    await job.run()

    for name in names:
        metadata = job.vault.server.client().read(f"keyturn-kv/metadata/{name}")["data"]
        assert {v: a["destroyed"] for v, a in metadata["versions"].items()} == {
            "1": True,
            "2": False,
        }


async def test_a_record_stored_late_with_an_old_ciphertext_is_caught(job: _Job) -> None:
    names = _fill(job, 4, 2)
    old = job.stored(names[0])["data"]["record"]
    late = KeyName(names[0].owner, "late")
    job.plaintexts[late] = b"sk-of-a-slow-intake"
    (record,) = _sealed(job, [late])

    async def store() -> None:
        _put(job, record, 0)

    # Its owner's folder is listed by then: the intake sealed before the rotation, and stores now.
    job.interruption.before("write", len(names), store)
    result = await job.run()

    assert list(sealed_before(record, job.first + 1))
    assert old != job.stored(names[0])["data"]["record"]
    assert (job.raised(), result.rewrapped) == ((1, 1), len(names) + 1)
    assert await job.lost() == []


async def test_a_record_that_changes_meanwhile_keeps_the_change(job: _Job) -> None:
    names = _fill(job, 1, 2)
    job.plaintexts[names[0]] = b"sk-of-a-rotation"

    async def rotate() -> None:
        _put(job, _sealed(job, names[:1])[0], 1)

    job.interruption.before("write", 1, rotate)
    await job.run()

    assert job.raised() == (1, 1)
    assert await job.lost() == []


@pytest.mark.parametrize("damage", ["no record", "the record of another key"])
async def test_a_record_that_cannot_be_read_is_named_and_keeps_the_minimum(
    job: _Job, damage: str
) -> None:
    names = _fill(job, 3, 2)
    root = job.vault.server.client()
    text = "{}" if damage == "no record" else job.stored(names[0])["data"]["record"]
    body = {"data": {"record": text}, "options": {"cas": 1}}
    root.write_data(f"{_KV}/{names[-1]}", data=body)
    del job.plaintexts[names[-1]]

    result = await job.run()
    assert result.unreadable == (names[-1],)
    assert (job.raised(), result.rewrapped) == ((1, 0), len(names) - 1)

    root.delete(f"keyturn-kv/metadata/{names[-1]}")
    result = await job.run()
    assert (job.raised(), result.unreadable) == ((1, 1), ())
    assert await job.lost() == []
