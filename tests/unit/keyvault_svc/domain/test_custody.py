from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.custody import MAX_KEYS, KeyCustody, Person
from keyvault_svc.domain.errors import (
    KeyChangedMeanwhileError,
    KeyExistsError,
    KeyNotFoundError,
    NotTheOwnerError,
    TooManyKeysError,
)
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.domain.ports import AuditTags
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.fakes.fake_key_store import FakeKeyStore
from tests.unit.keyvault_svc.custody_stage import ALICE, REQUEST, TEAM_KEY, Stage
from tests.unit.keyvault_svc.samples import (
    KEY,
    make_grant,
    make_record,
    make_terms,
)

MALLORY = Person("mallory", frozenset({"alice", "payments"}))
API_KEY = SecretBytes(b"sk-first-canary-key-0123456789")
OTHER_API_KEY = SecretBytes(b"sk-second-canary-key-012345678")
TAGS = AuditTags(REQUEST, str(KEY))


async def test_a_new_key_is_stored_sealed_under_its_name() -> None:
    stage = Stage()

    record = await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.sealer.sealed_names == [KEY]
    assert record == stage.stored()
    assert (record.key_version, record.revision, record.creator) == (1, 1, "alice")
    assert record.create_time == record.rotate_time == START
    assert record.grants == ()


async def test_every_write_is_tagged_with_request_and_key() -> None:
    stage = Stage()

    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.store.writes == [TAGS]


async def test_a_key_of_an_existing_name_is_refused_before_it_is_sealed() -> None:
    stage = Stage(FakeKeyStore(make_record()))

    with pytest.raises(KeyExistsError):
        await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.sealer.sealed_names == []


async def test_of_two_creations_at_once_one_is_refused() -> None:
    stage = Stage()
    stage.store.before_write = lambda: stage.store.put(make_record())

    with pytest.raises(KeyExistsError) as caught:
        await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.stored() == replace(make_record(), revision=1)
    assert caught.value.__context__ is None


async def test_the_101st_key_is_refused() -> None:
    names = [KeyName.parse(f"users/alice/keys/k{i}", "name") for i in range(MAX_KEYS)]
    stage = Stage(FakeKeyStore(*(make_record(name=name) for name in names)))

    with pytest.raises(TooManyKeysError):
        await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)


async def test_keys_of_other_owners_do_not_count() -> None:
    names = [KeyName.parse(f"users/bob/keys/k{i}", "name") for i in range(MAX_KEYS)]
    stage = Stage(FakeKeyStore(*(make_record(name=name) for name in names)))

    assert (await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)).name == KEY


async def test_a_member_acts_for_the_team() -> None:
    stage = Stage()
    member = Person("bob", frozenset({"payments"}))

    record = await stage.custody.create(member, TEAM_KEY, API_KEY, REQUEST)

    assert record.creator == "bob"


Operation = Callable[[KeyCustody, Person, KeyName], Awaitable[object]]
OPERATIONS: dict[str, Operation] = {
    "create": lambda c, p, n: c.create(p, n, API_KEY, REQUEST),
    "get": lambda c, p, n: c.get(p, n, REQUEST),
    "list_keys": lambda c, p, n: c.list_keys(p, n.owner, REQUEST),
    "rotate": lambda c, p, n: c.rotate(p, n, API_KEY, REQUEST),
    "delete": lambda c, p, n: c.delete(p, n, REQUEST),
    "create_grant": lambda c, p, n: c.create_grant(p, n, make_terms(), REQUEST),
    "list_grants": lambda c, p, n: c.list_grants(p, n, REQUEST),
    "revoke_grant": lambda c, p, n: c.revoke_grant(p, GrantName(n, "0" * 16), REQUEST),
}


@pytest.mark.parametrize("records", [(), (make_record(make_grant()),)], ids=["missing", "existing"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_stranger_gets_one_answer_whether_or_not_the_key_exists(
    operation: str, records: tuple[KeyRecord, ...]
) -> None:
    stage = Stage(FakeKeyStore(*records))
    before = dict(stage.store.versions)

    with pytest.raises(NotTheOwnerError):
        await OPERATIONS[operation](stage.custody, MALLORY, KEY)

    assert stage.store.reads == stage.store.writes == []
    assert stage.store.versions == before


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_user_does_not_act_for_a_team_of_the_same_name(operation: str) -> None:
    stage = Stage()

    with pytest.raises(NotTheOwnerError):
        await OPERATIONS[operation](stage.custody, Person("payments"), TEAM_KEY)


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"create", "list_keys"}))
async def test_the_owner_is_told_that_there_is_no_such_key(operation: str) -> None:
    stage = Stage()

    with pytest.raises(KeyNotFoundError):
        await OPERATIONS[operation](stage.custody, ALICE, KEY)

    assert stage.store.versions == {}


async def test_a_listing_holds_the_owners_keys_sorted_by_name() -> None:
    names = [KeyName.parse(f"users/{name}", "name") for name in ("alice/keys/b", "alice/keys/a")]
    bobs = make_record(name=KeyName.parse("users/bob/keys/c", "name"))
    stage = Stage(FakeKeyStore(bobs, *(make_record(name=name) for name in names)))

    records = await stage.custody.list_keys(ALICE, KEY.owner, REQUEST)

    assert [str(record.name) for record in records] == [
        "users/alice/keys/a",
        "users/alice/keys/b",
    ]


async def test_a_key_that_vanishes_while_it_is_listed_is_left_out() -> None:
    class VanishingStore(FakeKeyStore):
        async def read(self, name: KeyName, tags: AuditTags) -> KeyRecord | None:
            del name, tags
            return None

    stage = Stage(VanishingStore(make_record()))

    assert await stage.custody.list_keys(ALICE, KEY.owner, REQUEST) == []


async def test_a_rotation_replaces_the_plaintext_and_destroys_the_one_before() -> None:
    stage = Stage()
    first = await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)
    await stage.custody.create_grant(ALICE, KEY, make_terms(), REQUEST)
    stage.clock.advance(60)

    rotated = await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    assert (rotated.key_version, rotated.rotate_time) == (2, START + timedelta(seconds=60))
    assert rotated.sealed.ciphertext != first.sealed.ciphertext
    assert len(rotated.grants) == 1
    assert stage.store.versions[KEY] == {rotated.revision: rotated}


async def test_a_rotation_to_the_same_plaintext_changes_nothing() -> None:
    stage = Stage()
    first = await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert await stage.custody.rotate(ALICE, KEY, API_KEY, REQUEST) == first
    assert stage.sealer.sealed_names == [KEY]
    assert len(stage.store.writes) == 1


async def test_repeating_a_rotation_that_broke_off_finishes_its_clean_up() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)
    stage.store.is_failing_to_destroy = True
    with pytest.raises(VaultUnavailableError):
        await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    assert sorted(stage.store.versions[KEY]) == [1, 2]
    stage.store.is_failing_to_destroy = False

    rotated = await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    assert rotated.key_version == 2
    assert stage.store.versions[KEY] == {2: rotated}


async def test_a_rotation_keeps_a_grant_that_was_made_meanwhile() -> None:
    stage = Stage()
    first = await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)
    with_grant = replace(first, grants=(make_grant(),))
    stage.store.before_write = lambda: stage.store.put(with_grant)

    rotated = await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    assert rotated.grants == (make_grant(),)
    assert stage.store.versions[KEY] == {3: rotated}


async def test_a_writer_that_always_loses_gives_up() -> None:
    class ContestedStore(FakeKeyStore):
        async def write(self, record: KeyRecord, tags: AuditTags) -> KeyRecord:
            del record, tags
            self.put(make_record(make_grant()))
            raise KeyChangedMeanwhileError

    stage = Stage(ContestedStore(make_record(make_grant())))

    with pytest.raises(KeyChangedMeanwhileError):
        await stage.custody.rotate(ALICE, KEY, API_KEY, REQUEST)

    assert max(stage.store.versions[KEY]) == 1 + 5


async def test_a_deleted_key_leaves_no_version() -> None:
    stage = Stage(FakeKeyStore(make_record(make_grant())))

    await stage.custody.delete(ALICE, KEY, REQUEST)

    assert stage.store.versions == {}
