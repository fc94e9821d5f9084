from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1.key_service_pb2 import CreateKeyRequest, RotateKeyRequest
from keyvault_svc.domain.custody import Person
from keyvault_svc.domain.key_record import KeyState
from keyvault_svc.rpc import messages
from keyvault_svc.rpc.messages import (
    calling_person,
    grant_message,
    grant_terms,
    key_message,
    take_api_key,
)
from svc_runtime.call_context import CallContext, bind_call
from svc_runtime.caller import Caller
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import (
    BILLING,
    KEY,
    SEARCH,
    make_grant,
    make_record,
    make_terms,
)

GRANT = f"{KEY}/grants/{'1' * 16}"
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
    call.caller = Caller("alice", frozenset({"person"}), groups=["payments"])

    assert calling_person() == Person("alice", frozenset({"payments"}))


@pytest.mark.usefixtures("call")
def test_without_a_verified_caller_there_is_no_person() -> None:
    with pytest.raises(CallerUnverifiedError):
        calling_person()


def test_a_key_is_described_without_what_seals_it() -> None:
    record = make_record(
        make_grant(1), make_grant(2, make_terms(SEARCH), revoke_time=START), fingerprint="canary"
    )

    message = key_message(record, START)

    assert message == key_pb.Key(
        name=str(KEY),
        state=key_pb.KEY_STATE_ACTIVE,
        key_version=1,
        create_time=_timestamp(record.create_time),
        rotate_time=_timestamp(record.rotate_time),
        active_grant_count=1,
        creator="alice",
    )
    assert "canary" not in str(message)


@pytest.mark.parametrize("state", KeyState)
def test_every_state_has_a_message(state: KeyState) -> None:
    assert messages._STATE[state]


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def test_terms_and_their_message_say_the_same() -> None:
    terms = make_terms(
        models=("gpt-4o",),
        endpoints=("chat",),
        source_cidrs=("10.0.0.0/8", "2001:db8::/32"),
        expire_time=START + timedelta(days=1),
    )

    message = grant_message(KEY, make_grant(1, terms))

    assert grant_terms(message) == terms
    assert message.name == f"{KEY}/grants/{make_grant(1).grant_id}"
    assert message.create_time.ToDatetime(tzinfo=UTC) == make_grant(1).create_time
    assert not message.HasField("revoke_time")


def test_a_grant_without_an_end_has_no_times_of_an_end() -> None:
    message = grant_message(KEY, make_grant(1))

    assert not message.HasField("expire_time")
    assert grant_terms(message).expire_time is None


def test_a_revoked_grant_says_when_and_by_whom() -> None:
    message = grant_message(KEY, make_grant(1, revoke_time=START))

    assert message.revoke_time.ToDatetime(tzinfo=UTC) == START
    assert message.revoker == "alice"


def test_what_only_the_service_may_say_of_a_grant_is_ignored() -> None:
    terms = grant_terms(
        grant_pb.Grant(name="x", app=str(BILLING), models=["*"], endpoints=["*"], creator="mallory")
    )

    assert terms == make_terms()


@pytest.mark.parametrize(
    "expire_time",
    [Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(nanos=-1)],
    ids=["late", "early", "nanos"],
)
def test_a_time_that_cannot_be_is_refused(expire_time: Timestamp) -> None:
    message = grant_pb.Grant(
        app=str(BILLING), models=["*"], endpoints=["*"], expire_time=expire_time
    )

    with pytest.raises(InvalidFieldError) as caught:
        grant_terms(message)

    assert caught.value.field == "grant.expire_time"
