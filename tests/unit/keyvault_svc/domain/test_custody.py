from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.custody import MAX_KEYS
from keyvault_svc.domain.errors import (
    KeyDuplicateError,
    KeyExistsError,
    KeyNotFoundError,
    NotTheOwnerError,
    TooManyKeysError,
)
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_change import KeyChange
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import QueuedVerification
from keyvault_svc.domain.roles import RoleRules
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.fakes.fake_key_sealer import fingerprint_of
from tests.unit.keyvault_svc.custody_stage import (
    ALICE,
    API_KEY,
    REQUEST,
    TAGS,
    TEAM_KEY,
    TEXT,
    Stage,
)
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record, make_terms

MALLORY = Person("mallory", frozenset({"alice", "alice-admins", "payments"}))
DAY = timedelta(days=1)
HIGH = KeyChange(assurance=KeyAssurance.HIGH)


def _names(owner: str, count: int) -> list[KeyName]:
    return [KeyName.parse(f"users/{owner}/keys/k{i}", "name") for i in range(count)]


async def test_a_new_key_is_stored_sealed_under_its_name_and_waits() -> None:
    stage = Stage()

    record = await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.sealer.sealed_names == [KEY]
    assert record == stage.stored()
    assert (record.state, record.current.number, record.revision) == (KeyState.PENDING, 1, 1)
    assert (record.creator, record.create_time) == ("alice", START)
    assert (record.grants, record.expire_time, record.assurance) == ((), None, "standard")


async def test_a_new_key_is_queued_for_its_verification_and_found_by_its_fingerprint() -> None:
    stage = Stage()

    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.queued() == QueuedVerification(KEY, START, revision=1)
    assert stage.index.noted == {fingerprint_of(API_KEY): (KEY,)}


async def test_a_verified_key_serves() -> None:
    stage = Stage()

    record = await stage.active()

    assert record.state is KeyState.ACTIVE
    assert stage.verifications.entries == {}


async def test_an_owner_chooses_expiry_and_assurance() -> None:
    stage = Stage()

    record = await stage.custody.create(
        ALICE, KEY, API_KEY, REQUEST, expire_time=START + DAY, assurance=KeyAssurance.HIGH
    )

    assert (record.expire_time, record.assurance) == (START + DAY, KeyAssurance.HIGH)


@pytest.mark.parametrize("offset", [-DAY, timedelta()])
async def test_an_expiry_that_is_not_in_the_future_is_refused(offset: timedelta) -> None:
    stage = Stage(make_record())

    with pytest.raises(InvalidFieldError) as of_create:
        await stage.custody.create(ALICE, KEY, API_KEY, REQUEST, expire_time=START + offset)
    with pytest.raises(InvalidFieldError) as of_update:
        await stage.custody.update(
            ALICE, KEY, KeyChange(START + offset, sets_expire_time=True), REQUEST
        )

    assert of_create.value.field == "expire_time"
    assert of_update.value.field == "key.expire_time"
    assert stage.line.requests == []


async def test_every_write_is_tagged_with_request_and_key() -> None:
    stage = Stage()

    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.store.writes == [TAGS]


async def test_a_key_of_an_existing_name_is_refused_before_it_is_sealed() -> None:
    stage = Stage(make_record())

    with pytest.raises(KeyExistsError):
        await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.sealer.sealed_names == []


async def test_of_two_creations_at_once_one_is_refused_and_leaves_no_trace() -> None:
    stage = Stage()
    other = make_record()
    stage.line.before("write record", lambda: _put(stage, other))

    with pytest.raises(KeyExistsError) as caught:
        await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.stored() == replace(other, revision=1)
    assert stage.index.noted == {}
    assert caught.value.__context__ is None


def _put(stage: Stage, record: KeyRecord) -> None:
    stage.store.put(record)


async def test_an_entry_that_was_dropped_before_the_record_was_there_is_queued_again() -> None:
    stage = Stage()

    stage.line.before("write record", stage.verifications.entries.clear)
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.queued().is_due(START)


async def test_the_101st_key_is_refused() -> None:
    stage = Stage(*(make_record(name=name) for name in _names("alice", MAX_KEYS)))

    with pytest.raises(TooManyKeysError):
        await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)


async def test_keys_of_other_owners_do_not_count() -> None:
    stage = Stage(*(make_record(name=name) for name in _names("bob", MAX_KEYS)))

    assert (await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)).name == KEY


async def test_a_deleted_key_that_is_still_there_makes_room_for_its_name() -> None:
    others = [make_record(name=name) for name in _names("alice", MAX_KEYS - 1)]
    stage = Stage(make_record().deleted(START - DAY), *others)

    record = await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert (record.state, record.revision) == (KeyState.PENDING, 1)


async def test_a_name_whose_deletion_broke_off_just_now_is_not_free_yet() -> None:
    stage = Stage(make_record().deleted(START))
    stage.clock.advance(59)

    with pytest.raises(KeyExistsError):
        await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    stage.clock.advance(1)
    assert (await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)).state is KeyState.PENDING


async def test_a_plaintext_that_is_in_custody_is_refused_and_nothing_is_noted() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)
    other = KeyName.parse("users/alice/keys/other", "name")

    with pytest.raises(KeyDuplicateError):
        await stage.custody.create(ALICE, other, API_KEY, REQUEST)

    assert set(stage.store.versions) == set(stage.verifications.entries) == {KEY}
    assert stage.index.noted == {fingerprint_of(API_KEY): (KEY,)}


async def test_an_admin_acts_for_the_team() -> None:
    stage = Stage()
    admin = Person("bob", frozenset({"payments-admins"}))

    record = await stage.custody.create(admin, TEAM_KEY, API_KEY, REQUEST)

    assert record.creator == "bob"


Operation = Callable[[Stage, Person, KeyName], Awaitable[object]]
OPERATIONS: dict[str, Operation] = {
    "create": lambda s, p, n: s.custody.create(p, n, API_KEY, REQUEST),
    "get": lambda s, p, n: s.custody.get(p, n, REQUEST),
    "list_keys": lambda s, p, n: s.custody.list_keys(p, n.owner, REQUEST),
    "rotate": lambda s, p, n: s.custody.rotate(p, n, API_KEY, REQUEST),
    "undo_rotation": lambda s, p, n: s.custody.undo_rotation(p, n, REQUEST),
    "verify": lambda s, p, n: s.custody.verify(p, n, REQUEST),
    "disable": lambda s, p, n: s.custody.disable(p, n, REQUEST),
    "enable": lambda s, p, n: s.custody.enable(p, n, REQUEST),
    "update": lambda s, p, n: s.custody.update(p, n, HIGH, REQUEST),
    "delete": lambda s, p, n: s.custody.delete(p, n, REQUEST),
    "create_grant": lambda s, p, n: s.consent.create_grant(
        p, n, make_terms(), TEXT.version, REQUEST
    ),
    "list_grants": lambda s, p, n: s.consent.list_grants(p, n, REQUEST),
    "revoke_grant": lambda s, p, n: s.consent.revoke_grant(p, GrantName(n, "0" * 16), REQUEST),
    "export": lambda s, p, n: s.erasure.export(p, n.owner, REQUEST),
    "erase": lambda s, p, n: s.erasure.erase(p, n.owner, REQUEST),
}
OF_AN_OWNER = {"create", "list_keys", "export", "erase"}


@pytest.mark.parametrize("records", [(), (make_record(make_grant()),)], ids=["missing", "existing"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_stranger_gets_one_answer_whether_or_not_the_key_exists(
    operation: str, records: tuple[KeyRecord, ...]
) -> None:
    stage = Stage(*records)

    with pytest.raises(NotTheOwnerError):
        await OPERATIONS[operation](stage, MALLORY, KEY)

    assert stage.line.requests == []


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_user_does_not_act_for_a_team_of_the_same_name(operation: str) -> None:
    stage = Stage()

    with pytest.raises(NotTheOwnerError):
        await OPERATIONS[operation](stage, Person("payments"), TEAM_KEY)


ALLOWED = {
    "payments": {"get", "list_keys", "list_grants"},
    "auditors": {"get", "list_keys", "list_grants"},
    "sre": {"get", "list_keys", "export", "erase"},
    "payments-admins": set(OPERATIONS),
}
RULES = RoleRules(auditor_groups=frozenset({"auditors"}), operator_groups=frozenset({"sre"}))


@pytest.mark.parametrize("group", ALLOWED)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_members_and_standing_roles_may_do_no_more_than_theirs(
    operation: str, group: str
) -> None:
    stage = Stage()
    person = Person("bob", frozenset({group}), RULES)

    if operation in ALLOWED[group]:
        with suppress(KeyNotFoundError):
            await OPERATIONS[operation](stage, person, TEAM_KEY)
        assert stage.line.requests
    else:
        with pytest.raises(NotTheOwnerError):
            await OPERATIONS[operation](stage, person, TEAM_KEY)
        assert stage.line.requests == []


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - OF_AN_OWNER))
async def test_the_owner_is_told_that_there_is_no_such_key(operation: str) -> None:
    stage = Stage()

    with pytest.raises(KeyNotFoundError):
        await OPERATIONS[operation](stage, ALICE, KEY)

    assert not (stage.store.versions)
    assert not (stage.index.noted)
    assert not (stage.verifications.entries)


async def test_a_listing_holds_the_owners_keys_sorted_by_name() -> None:
    names = [KeyName.parse(f"users/alice/keys/{key_id}", "name") for key_id in "ba"]
    bobs = make_record(name=KeyName.parse("users/bob/keys/c", "name"))
    stage = Stage(bobs, *(make_record(name=name) for name in names))

    records = await stage.custody.list_keys(ALICE, KEY.owner, REQUEST)

    assert [record.name.key_id for record in records] == ["a", "b"]


async def test_a_key_that_vanishes_while_it_is_listed_is_left_out() -> None:
    stage = Stage(make_record())
    stage.line.before("read record", stage.store.versions.clear)

    assert await stage.custody.list_keys(ALICE, KEY.owner, REQUEST) == []


async def test_what_is_shown_of_a_key_is_its_state_now() -> None:
    stage = Stage(replace(make_record(), expire_time=START))

    assert (await stage.custody.get(ALICE, KEY, REQUEST)).state is KeyState.EXPIRED
    (listed,) = await stage.custody.list_keys(ALICE, KEY.owner, REQUEST)
    assert listed.state is KeyState.EXPIRED
    assert stage.store.writes == []
