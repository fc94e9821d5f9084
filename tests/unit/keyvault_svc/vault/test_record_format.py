from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.key_record import KeyRecord, KeyState, SealedKey
from keyvault_svc.domain.names import KeyName
from keyvault_svc.vault.record_format import from_stored, to_stored
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record, make_terms

TIMES = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the time zone
    max_value=datetime(9999, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)
NAMES = st.from_regex(r"(users|teams)/[a-z0-9]{1,8}/keys/[a-z0-9]{1,8}", fullmatch=True).map(
    lambda text: KeyName.parse(text, "name")
)
APPS = st.from_regex(r"spiffe://example\.org/app/[A-Za-z0-9_-]{1,8}", fullmatch=True).map(
    SpiffeId.parse
)
ENTRIES = st.lists(st.sampled_from(["*", "a", "b/c", "gpt-4o*"]), max_size=3).map(tuple)
NETWORKS = st.lists(
    st.ip_addresses(v=4, network="10.0.0.0/8").map(lambda a: make_terms(source_cidrs=(str(a),)))
    | st.ip_addresses(v=6).map(lambda a: make_terms(source_cidrs=(str(a),))),
    max_size=3,
).map(lambda terms: tuple(network for t in terms for network in t.source_cidrs))
GRANTS = st.builds(
    Grant,
    st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    st.builds(GrantTerms, APPS, ENTRIES, ENTRIES, NETWORKS, st.none() | TIMES),
    TIMES,
    st.text(max_size=8),
    st.none() | TIMES,
    st.text(max_size=8),
)
RECORDS = st.builds(
    KeyRecord,
    NAMES,
    st.sampled_from(KeyState),
    st.builds(SealedKey, st.just("vault:v12:aGVsbG8="), st.text(min_size=1, max_size=20)),
    st.integers(1, 2**31),
    TIMES,
    TIMES,
    st.text(max_size=8),
    st.lists(GRANTS, max_size=3).map(tuple),
    st.integers(1, 2**31),
)


def _inside(record: KeyRecord) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(to_stored(record)["record"]))


INSIDE = _inside(make_record(make_grant(1)))


def _stored(**changes: object) -> dict[str, Any]:
    return {"record": json.dumps({**INSIDE, **changes})}


def _stored_grant(**changes: object) -> dict[str, Any]:
    return _stored(grants=[{**INSIDE["grants"][0], **changes}])


def _without(stored: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name != field}


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_a_record_comes_back_from_json_as_it_went_in(record: KeyRecord) -> None:
    stored = json.loads(json.dumps(to_stored(record)))

    assert from_stored(record.name, stored, record.revision) == record


def test_a_stored_record_holds_no_revision_of_its_own() -> None:
    assert "revision" not in INSIDE
    assert from_stored(KEY, to_stored(make_record()), 7).revision == 7


def test_a_time_of_another_zone_is_the_same_time() -> None:
    stored = _stored(create_time="2026-03-01T13:00:00+01:00")

    assert from_stored(KEY, stored, 1).create_time == START


@pytest.mark.parametrize(
    "other",
    ["users/mallory/keys/openai", "users/alice/keys/other", "teams/alice/keys/openai"],
)
def test_a_record_that_was_copied_under_another_name_is_refused(other: str) -> None:
    with pytest.raises(KeyRecordUnreadableError):
        from_stored(KeyName.parse(other, "name"), _stored(), 1)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "record",
        {},
        {"record": 5},
        {"record": "{"},
        {"record": json.dumps(INSIDE), "more": 1},
        INSIDE,
        _stored(schema_version=2),
        _stored(schema_version="1"),
        _stored(budget_usd=5),
        _stored_grant(budget_usd=5),
        _stored(state="disabled"),
        _stored(key_version=0),
        _stored(sealed_key="sk-canary-plaintext-0123456789"),
        _stored(sealed_key=""),
        _stored(create_time="2026-03-01T13:00:00"),
        _stored(rotate_time="yesterday"),
        _stored(grants=None),
        _stored_grant(app="billing"),
        _stored_grant(source_cidrs=["10.1.2.3/16"]),
        _stored_grant(source_cidrs=["canary"]),
        _stored_grant(models="*"),
        _stored_grant(expire_time="2026-03-01T13:00:00"),
    ],
    ids=itertools.count(),
)
def test_what_this_version_cannot_read_in_full_is_refused(stored: object) -> None:
    with pytest.raises(KeyRecordUnreadableError) as caught:
        from_stored(KEY, stored, 1)

    assert caught.value.__context__ is None  # what pydantic says would repeat the record


@pytest.mark.parametrize("field", sorted(INSIDE))
def test_a_record_that_lacks_a_field_is_refused(field: str) -> None:
    with pytest.raises(KeyRecordUnreadableError):
        from_stored(KEY, {"record": json.dumps(_without(INSIDE, field))}, 1)


@pytest.mark.parametrize("field", sorted(INSIDE["grants"][0]))
def test_a_grant_that_lacks_a_field_is_refused(field: str) -> None:
    stored = _stored(grants=[_without(INSIDE["grants"][0], field)])

    with pytest.raises(KeyRecordUnreadableError):
        from_stored(KEY, stored, 1)


def test_a_revoked_grant_stays_revoked() -> None:
    record = make_record(make_grant(1, revoke_time=START - timedelta(minutes=1)))

    assert from_stored(KEY, to_stored(record), 1).active_grants(START) == ()


def test_a_record_is_stored_as_one_string_however_many_grants_it_has() -> None:
    stored = to_stored(make_record(*(make_grant(number) for number in range(1, 100))))

    assert [type(value) for value in stored.values()] == [str]
