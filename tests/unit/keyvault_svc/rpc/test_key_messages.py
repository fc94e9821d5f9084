from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1.key_service_pb2 import CreateKeyRequest, RotateKeyRequest
from keyvault_svc.domain.deletion_proof import DeletionProof
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import Verification, VerificationOutcome
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.person import Person, PersonCaller
from keyvault_svc.rpc import key_messages
from keyvault_svc.rpc.key_messages import (
    assurance_of,
    calling_person,
    change_of_key,
    key_message,
    optional_overlap,
    proof_message,
    take_api_key,
    verification_outcome,
)
from svc_runtime.call_context import CallContext, bind_call
from svc_runtime.caller import Caller
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import (
    KEY,
    SEARCH,
    make_grant,
    make_record,
    make_terms,
    make_version,
)

DAY = timedelta(days=1)
API_KEY = b"sk-proj-canary0123456789abcdef"


@pytest.fixture
def call() -> Iterator[CallContext]:
    with bind_call(CallContext("request-0001", "/test/Method")) as call:
        yield call


@pytest.mark.parametrize("kind", [CreateKeyRequest, RotateKeyRequest])
def test_an_api_key_is_taken_out_of_the_message(
    kind: type[CreateKeyRequest | RotateKeyRequest],
) -> None:
    request = kind(name=str(KEY), api_key=API_KEY)

    assert take_api_key(request) == SecretBytes(API_KEY)
    assert request == kind(name=str(KEY))


@pytest.mark.parametrize("raw", [b"canary", b"sk-admin-canary0123456789abcdef", b""])
@pytest.mark.parametrize("kind", [CreateKeyRequest, RotateKeyRequest])
def test_a_refused_api_key_is_taken_out_of_the_message_too(
    kind: type[CreateKeyRequest | RotateKeyRequest], raw: bytes
) -> None:
    request = kind(name=str(KEY), api_key=raw)

    with pytest.raises(InvalidFieldError) as caught:
        take_api_key(request)

    assert caught.value.field == "api_key"
    assert request == kind(name=str(KEY))


def test_the_calling_person_is_the_verified_caller(call: CallContext) -> None:
    call.caller = PersonCaller("alice", frozenset({"person"}), groups=["payments"])

    assert calling_person() == Person("alice", frozenset({"payments"}))


@pytest.mark.parametrize("caller", [None, Caller("alice", frozenset({"person"}))])
def test_without_a_verified_person_there_is_no_person(
    call: CallContext, caller: Caller | None
) -> None:
    call.caller = caller

    with pytest.raises(CallerUnverifiedError):
        calling_person()


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def test_a_key_is_described_without_what_seals_it() -> None:
    record = make_record(
        make_grant(1), make_grant(2, make_terms(SEARCH), revoke_time=START), fingerprint="canary"
    )

    message = key_message(record, KeyPolicy(rotate_after=None), START)

    assert message == key_pb.Key(
        name=str(KEY),
        state=key_pb.KEY_STATE_ACTIVE,
        key_version=1,
        create_time=_timestamp(record.create_time),
        rotate_time=_timestamp(record.current.create_time),
        active_grant_count=1,
        creator="alice",
        assurance=key_pb.KEY_ASSURANCE_STANDARD,
    )
    assert "canary" not in str(message)


def test_a_rotation_is_described_with_both_other_versions() -> None:
    verification = Verification(VerificationOutcome.NO_QUOTA, START)
    record = replace(
        make_record(),
        incoming=replace(make_version(3, KeyState.PENDING), verification=verification),
        retiring=replace(make_version(1, KeyState.RETIRING), destroy_time=START + DAY),
        current=make_version(2, outcome=VerificationOutcome.VERIFIED),
        assurance=KeyAssurance.HIGH,
    )

    message = key_message(record, KeyPolicy(), START)

    assert (message.key_version, message.assurance) == (2, key_pb.KEY_ASSURANCE_HIGH)
    assert message.verification.outcome == key_pb.VERIFICATION_OUTCOME_VERIFIED
    assert message.incoming == key_pb.KeyVersion(
        key_version=3,
        state=key_pb.KEY_STATE_PENDING,
        create_time=_timestamp(START - DAY),
        verification=key_pb.KeyVerification(
            outcome=key_pb.VERIFICATION_OUTCOME_NO_QUOTA, verify_time=_timestamp(START)
        ),
    )
    assert message.retiring == key_pb.KeyVersion(
        key_version=1,
        state=key_pb.KEY_STATE_RETIRING,
        create_time=_timestamp(START - DAY),
        destroy_time=_timestamp(START + DAY),
    )
    assert "canary" not in str(message)


def test_what_is_due_is_told() -> None:
    record = replace(make_record(), expire_time=START + 200 * DAY)

    by_owner = key_message(record, KeyPolicy(rotate_after=90 * DAY), START)
    by_age = key_message(record, KeyPolicy(max_age=30 * DAY), START)

    assert by_owner.rotate_due_time == _timestamp(START + 89 * DAY)
    assert by_owner.expire_time == _timestamp(START + 200 * DAY)
    assert by_age.expire_time == _timestamp(START + 29 * DAY)


def test_a_key_that_is_being_deleted_can_be_described() -> None:
    message = key_message(make_record().deleted(START), KeyPolicy(), START)

    assert message.state == key_pb.KEY_STATE_DELETED


@pytest.mark.parametrize("state", KeyState)
def test_every_state_has_its_own_word(state: KeyState) -> None:
    assert key_pb.KeyState.Name(key_messages._STATE[state]) == f"KEY_STATE_{state.name}"


@pytest.mark.parametrize("value", sorted(set(key_pb.KeyAssurance.values()) - {0}))
def test_every_assurance_of_the_contract_has_its_own_word(value: int) -> None:
    assurance = key_pb.KeyAssurance.ValueType(value)

    assert key_pb.KeyAssurance.Name(assurance) == f"KEY_ASSURANCE_{assurance_of(assurance).name}"


def test_an_assurance_that_nobody_asks_for_is_the_standard_one() -> None:
    assert assurance_of(key_pb.KEY_ASSURANCE_UNSPECIFIED) is KeyAssurance.STANDARD


def test_an_assurance_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidFieldError):
        assurance_of(key_pb.KeyAssurance.ValueType(99))


@pytest.mark.parametrize("value", sorted(set(key_pb.VerificationOutcome.values()) - {0}))
def test_every_outcome_of_the_contract_has_its_own_word(value: int) -> None:
    outcome = key_pb.VerificationOutcome.ValueType(value)

    name = key_pb.VerificationOutcome.Name(outcome)
    assert name == f"VERIFICATION_OUTCOME_{verification_outcome(outcome).name}"


@pytest.mark.parametrize("value", [0, 99])
def test_an_outcome_that_is_none_is_refused(value: int) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        verification_outcome(key_pb.VerificationOutcome.ValueType(value))

    assert caught.value.field == "outcome"


def test_a_proof_is_told_whole() -> None:
    assert proof_message(DeletionProof(KEY, 7, START)) == key_pb.DeletionProof(
        key=str(KEY), destroyed_version_count=7, confirm_time=_timestamp(START)
    )


def test_an_overlap_is_a_length_of_time_or_not_given() -> None:
    assert optional_overlap(RotateKeyRequest()) is None
    assert optional_overlap(RotateKeyRequest(overlap=Duration())) == timedelta()
    assert optional_overlap(RotateKeyRequest(overlap=Duration(seconds=90))) == timedelta(seconds=90)


def test_what_is_no_length_of_time_is_refused() -> None:
    overlap = Duration(seconds=2**62)

    with pytest.raises(InvalidFieldError) as caught:
        optional_overlap(RotateKeyRequest(overlap=overlap))

    assert caught.value.field == "overlap"


@pytest.mark.parametrize("kind", [CreateKeyRequest, RotateKeyRequest])
def test_an_admin_key_is_taken_under_its_name_only(
    kind: type[CreateKeyRequest | RotateKeyRequest],
) -> None:
    raw = b"sk-admin-canary0123456789abcdef"
    other = KeyName.parse("teams/operators/keys/openai-admin", "name")

    assert take_api_key(kind(name=str(other), api_key=raw), other) == SecretBytes(raw)
    with pytest.raises(InvalidFieldError):
        take_api_key(kind(name=str(KEY), api_key=raw), other)
    with pytest.raises(InvalidFieldError):
        take_api_key(kind(name=str(other), api_key=API_KEY), other)


def test_a_change_of_the_id_at_openai_is_checked() -> None:
    told = key_pb.Key(name=str(KEY), openai_key_id="key_alice0123")
    wrong = key_pb.Key(name=str(KEY), openai_key_id="alice")

    assert change_of_key(told, ["openai_key_id"]).openai_key_id == "key_alice0123"
    assert change_of_key(key_pb.Key(name=str(KEY)), ["openai_key_id"]).openai_key_id == ""
    assert change_of_key(told, ["base_url"]).openai_key_id is None
    with pytest.raises(InvalidFieldError) as caught:
        change_of_key(wrong, ["openai_key_id"])
    assert caught.value.field == "key.openai_key_id"


def test_each_version_is_told_with_its_own_id_at_openai() -> None:
    record = make_record().identified("key_current01")
    incoming = replace(make_version(2, KeyState.PENDING), openai_key_id="key_incoming1")

    message = key_message(replace(record, incoming=incoming), KeyPolicy(), START)

    assert (message.openai_key_id, message.incoming.openai_key_id) == (
        "key_current01",
        "key_incoming1",
    )
