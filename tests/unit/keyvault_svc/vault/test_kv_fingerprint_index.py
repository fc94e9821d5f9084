from __future__ import annotations

import pytest

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.names import KeyName
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_fingerprint_index import KvFingerprintIndex
from keyvault_svc.vault.paths import fingerprint_path
from tests.fakes.fake_kv_engine import FakeKvEngine
from tests.unit.keyvault_svc.custody_stage import TAGS
from tests.unit.keyvault_svc.samples import KEY

FINGERPRINT = "vault:v1:a/b+c="
BOBS = KeyName.parse("users/bob/keys/openai", "name")
PATH = fingerprint_path(FINGERPRINT)


async def test_keys_are_noted_once_each_and_taken_off() -> None:
    engine = FakeKvEngine()
    index = KvFingerprintIndex(KvDocuments(engine.session))

    for name in (KEY, BOBS, KEY):
        await index.add(FINGERPRINT, name, TAGS)
    assert await index.holders(FINGERPRINT, TAGS) == (KEY, BOBS)
    for _ in range(2):
        await index.remove(FINGERPRINT, KEY, TAGS)

    assert await index.holders(FINGERPRINT, TAGS) == (BOBS,)


async def test_no_version_goes_on_naming_a_key_that_was_taken_off() -> None:
    engine = FakeKvEngine()
    index = KvFingerprintIndex(KvDocuments(engine.session))
    await index.add(FINGERPRINT, KEY, TAGS)
    await index.add(FINGERPRINT, BOBS, TAGS)

    await index.remove(FINGERPRINT, KEY, TAGS)

    assert str(KEY) not in str(engine.versions)


async def test_keys_that_are_noted_at_once_are_all_noted() -> None:
    engine = FakeKvEngine()
    index = KvFingerprintIndex(KvDocuments(engine.session))
    engine.line.before(f"post data/{PATH}", lambda: index.add(FINGERPRINT, BOBS, TAGS))

    await index.add(FINGERPRINT, KEY, TAGS)

    assert await index.holders(FINGERPRINT, TAGS) == (BOBS, KEY)


@pytest.mark.parametrize("text", ["", "{", "5", '["alice"]', "[5]", "null"])
async def test_what_is_no_entry_is_refused(text: str) -> None:
    engine = FakeKvEngine()
    engine.versions[PATH] = {1: {"record": text}}

    with pytest.raises(KeyRecordUnreadableError):
        await KvFingerprintIndex(KvDocuments(engine.session)).holders(FINGERPRINT, TAGS)
