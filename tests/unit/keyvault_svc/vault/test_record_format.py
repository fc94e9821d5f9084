from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import (
    KeyVersion,
    SealedKey,
    Verification,
    VerificationOutcome,
)
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName
from keyvault_svc.vault import record_format
from keyvault_svc.vault.record_format import from_stored, to_stored
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import (
    CIPHERTEXT,
    KEY,
    make_grant,
    make_record,
    make_terms,
    make_version,
)

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
COUNTS = st.none() | st.integers(1, 10**6)
USD = st.none() | st.decimals("0.000001", 10**9, places=6)
LIMITS = st.builds(Limits, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, USD, USD)
TERMS = st.builds(
    GrantTerms,
    APPS,
    ENTRIES,
    ENTRIES,
    NETWORKS,
    st.none() | TIMES,
    st.booleans(),
    LIMITS,
    st.booleans(),
    st.booleans(),
)
GRANTS = st.builds(
    Grant,
    st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    TERMS,
    TIMES,
    st.text(max_size=8),
    st.none() | TIMES,
    st.text(max_size=8),
    st.text(max_size=8),
    st.text(max_size=8),
    st.none() | TIMES,
    st.text(max_size=8),
)
SEALED = st.builds(SealedKey, st.just("vault:v12:aGVsbG8="), st.text(min_size=1, max_size=20))
VERSIONS = st.builds(
    KeyVersion,
    st.integers(1, 2**31),
    st.none() | SEALED,
    st.sampled_from(KeyState),
    TIMES,
    st.none() | st.builds(Verification, st.sampled_from(VerificationOutcome), TIMES),
    st.integers(0, 30 * 86_400).map(lambda seconds: timedelta(seconds=seconds)),
    st.none() | TIMES,
)
RECORDS = st.builds(
    KeyRecord,
    NAMES,
    st.text(max_size=8),
    TIMES,
    VERSIONS,
    st.integers(1, 2**31),
    st.none() | VERSIONS,
    st.none() | VERSIONS,
    st.none() | TIMES,
    st.sampled_from(KeyAssurance),
    st.lists(GRANTS, max_size=3).map(tuple),
    st.sampled_from(("", "https://eu.api.openai.com/v1")),
    LIMITS,
    st.integers(1, 2**31),
)
Stored = dict[str, Any]
FULL = replace(
    make_record(make_grant(1)),
    current=make_version(2, fingerprint="b", outcome=VerificationOutcome.VERIFIED),
    incoming=make_version(3, KeyState.PENDING, fingerprint="c"),
    retiring=replace(make_version(1, KeyState.RETIRING), destroy_time=START),
    last_number=3,
)
INSIDE: Stored = json.loads(to_stored(FULL))
# What the first release wrote.
FIRST: Stored = {
    "schema_version": 1,
    "name": str(KEY),
    "state": "active",
    "sealed_key": CIPHERTEXT,
    "fingerprint": "hmac",
    "key_version": 4,
    "create_time": (START - timedelta(days=9)).isoformat(),
    "rotate_time": (START - timedelta(days=1)).isoformat(),
    "creator": "alice",
    "grants": INSIDE["grants"],
}


def _stored(**changes: object) -> str:
    return json.dumps({**INSIDE, **changes})


def _stored_current(**changes: object) -> str:
    return _stored(current={**INSIDE["current"], **changes})


def _stored_grant(**changes: object) -> str:
    return _stored(grants=[{**INSIDE["grants"][0], **changes}])


def _without(stored: Stored, field: str) -> Stored:
    return {name: value for name, value in stored.items() if name != field}


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_a_record_comes_back_from_json_as_it_went_in(record: KeyRecord) -> None:
    assert from_stored(record.name, to_stored(record), record.revision) == record


@pytest.mark.parametrize(
    "record",
    [
        FULL,
        FULL.deleted(START),
        FULL.tried(3, Verification(VerificationOutcome.WRONG_KEY, START), START),
        FULL.tried(3, Verification(VerificationOutcome.VERIFIED, START), START),
        FULL.disabled(),
    ],
    ids=["full", "deleted", "failed rotation", "rotated", "disabled"],
)
def test_a_record_of_every_shape_comes_back(record: KeyRecord) -> None:
    assert from_stored(KEY, to_stored(record), record.revision) == record


def test_a_record_of_the_first_release_is_a_key_of_one_active_version() -> None:
    record = from_stored(KEY, json.dumps(FIRST), 7)

    current = KeyVersion(
        4, SealedKey(CIPHERTEXT, "hmac"), KeyState.ACTIVE, START - timedelta(days=1)
    )
    assert record == KeyRecord(
        KEY,
        "alice",
        START - timedelta(days=9),
        current,
        last_number=4,
        grants=FULL.grants,
        revision=7,
    )


def test_a_record_of_the_first_release_is_written_in_the_present_form() -> None:
    record = from_stored(KEY, json.dumps(FIRST), 7)

    assert json.loads(to_stored(record))["schema_version"] == 2
    assert from_stored(KEY, to_stored(record), 7) == record


@pytest.mark.parametrize("field", sorted(FIRST))
def test_a_record_of_the_first_release_that_lacks_a_field_is_refused(field: str) -> None:
    with pytest.raises(KeyRecordUnreadableError):
        from_stored(KEY, json.dumps(_without(FIRST, field)), 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "disabled"},
        {"key_version": 0},
        {"sealed_key": None},
        {"budget_usd": 5},
        {"schema_version": 2},
        {"name": "users/mallory/keys/openai"},
    ],
    ids=itertools.count(),
)
def test_a_record_of_the_first_release_is_read_as_strictly(changes: Stored) -> None:
    with pytest.raises(KeyRecordUnreadableError) as caught:
        from_stored(KEY, json.dumps({**FIRST, **changes}), 1)

    assert caught.value.__context__ is None


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
        "",
        "null",
        "[]",
        "5",
        "{}",
        "{",
        to_stored(FULL) + "x",
        _stored(schema_version=1),
        _stored(schema_version=3),
        _stored(schema_version="2"),
        _stored(budget_usd=5),
        _stored_current(budget_usd=5),
        _stored_grant(budget_usd=5),
        _stored(current=None),
        _stored(last_number=0),
        _stored(assurance="canary"),
        _stored(incoming={}),
        _stored_current(number=0),
        _stored_current(state="canary"),
        _stored_current(sealed_key="sk-canary-plaintext-0123456789"),
        _stored_current(sealed_key=""),
        _stored_current(sealed_key=None),
        _stored_current(fingerprint=None),
        _stored_current(overlap_seconds=-1),
        _stored_current(destroy_time="2026-03-01T13:00:00"),
        _stored_current(verification={"outcome": "canary", "verify_time": START.isoformat()}),
        _stored_current(verification={"outcome": "verified"}),
        _stored(create_time="2026-03-01T13:00:00"),
        _stored(expire_time="yesterday"),
        _stored(grants=None),
        _stored_grant(app="billing"),
        _stored_grant(source_cidrs=["10.1.2.3/16"]),
        _stored_grant(source_cidrs=["canary"]),
        _stored_grant(models="*"),
        _stored_grant(expire_time="2026-03-01T13:00:00"),
    ],
    ids=itertools.count(),
)
def test_what_this_version_cannot_read_in_full_is_refused(stored: str) -> None:
    with pytest.raises(KeyRecordUnreadableError) as caught:
        from_stored(KEY, stored, 1)

    assert caught.value.__context__ is None  # what pydantic says would repeat the record


@pytest.mark.parametrize("field", sorted(INSIDE))
def test_a_record_that_lacks_a_field_is_refused(field: str) -> None:
    with pytest.raises(KeyRecordUnreadableError):
        from_stored(KEY, json.dumps(_without(INSIDE, field)), 1)


@pytest.mark.parametrize("field", sorted(INSIDE["current"]))
@pytest.mark.parametrize("place", ["current", "incoming", "retiring"])
def test_a_version_that_lacks_a_field_is_refused(place: str, field: str) -> None:
    with pytest.raises(KeyRecordUnreadableError):
        from_stored(KEY, _stored(**{place: _without(INSIDE[place], field)}), 1)


@pytest.mark.parametrize("field", sorted(INSIDE["grants"][0]))
def test_a_grant_that_lacks_a_field_is_refused(field: str) -> None:
    with pytest.raises(KeyRecordUnreadableError):
        from_stored(KEY, _stored(grants=[_without(INSIDE["grants"][0], field)]), 1)


def test_a_revoked_grant_stays_revoked() -> None:
    record = make_record(make_grant(1, revoke_time=START - timedelta(minutes=1)))

    assert from_stored(KEY, to_stored(record), 1).active_grants(START) == ()


@pytest.mark.parametrize("stored", [INSIDE, FIRST], ids=["present", "first"])
def test_nothing_sealed_shows_in_what_was_read(stored: Stored) -> None:
    with_canary = json.dumps(stored).replace('"hmac"', '"canaryprint"')

    fields = record_format._ANY_RECORD.validate_json(with_canary)

    assert "canary" not in repr(fields)
    assert "canary" not in repr(from_stored(KEY, with_canary, 1))


def test_the_id_at_openai_of_each_version_is_kept() -> None:
    record = make_record().identified("key_current01")
    record = replace(
        record, retiring=replace(make_version(3, KeyState.RETIRING), openai_key_id="key_old12345")
    )

    read = from_stored(KEY, to_stored(record), 1)

    assert [version.openai_key_id for version in read.versions] == ["key_current01", "key_old12345"]


def test_a_record_without_ids_at_openai_is_stored_as_before_there_were_any() -> None:
    assert "openai_key_id" not in to_stored(make_record())
