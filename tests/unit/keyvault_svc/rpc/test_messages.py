from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1.key_service_pb2 import CreateKeyRequest, RotateKeyRequest
from keyvault_svc.domain.custody import Person
from keyvault_svc.domain.key_record import KeyState
from keyvault_svc.domain.lease import Lease, LeaseOutcome, LeaseSettlement
from keyvault_svc.rpc import messages
from keyvault_svc.rpc.messages import (
    MAX_SETTLEMENTS,
    calling_person,
    grant_message,
    grant_terms,
    key_message,
    lease_message,
    lease_request,
    settlements,
    take_api_key,
)
from svc_runtime.call_context import CallContext, bind_call
from svc_runtime.caller import Caller
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import (
    BILLING,
    CIPHERTEXT,
    KEY,
    SEARCH,
    make_grant,
    make_record,
    make_request,
    make_terms,
)

GRANT = f"{KEY}/grants/{'1' * 16}"
API_KEY = b"sk-proj-canary0123456789abcdef"


@pytest.fixture
def call() -> Iterator[CallContext]:
    with bind_call(CallContext("request-0001", "/test/Method")) as call:
        yield call


def _acquire(**changes: object) -> lease_pb.AcquireLeaseRequest:
    fields: dict[str, object] = {
        "key": str(KEY),
        "app": str(BILLING),
        "endpoint": "chat/completions",
        "model": "gpt-4o",
        "source_ip": "10.1.2.3",
        "body_sha256": b"\0" * 32,
        "token_bound": 100,
    }
    return lease_pb.AcquireLeaseRequest(**{**fields, **changes})  # type: ignore[arg-type]  # fields chosen at run time


def _settled(**changes: object) -> lease_pb.LeaseSettlement:
    fields: dict[str, object] = {
        "lease_id": "0" * 32,
        "request_id": "request-0001",
        "key": str(KEY),
        "grant": GRANT,
        "app": str(BILLING),
        "outcome": lease_pb.LEASE_OUTCOME_SERVED,
    }
    return lease_pb.LeaseSettlement(**{**fields, **changes})  # type: ignore[arg-type]  # fields chosen at run time


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
        grant_pb.Grant(
            name="x", app=str(BILLING), models=["*"], endpoints=["*"], creator="mallory"
        )
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


@pytest.mark.usefixtures("call")
def test_a_lease_request_is_read_whole() -> None:
    message = _acquire(app_token=b"header.canary.signature")

    assert lease_request(message) == make_request(
        app_token=SecretBytes(b"header.canary.signature")
    )
    assert message.app_token == b""


@pytest.mark.usefixtures("call")
def test_an_app_without_a_token_has_none() -> None:
    assert lease_request(_acquire()).app_token is None


@pytest.mark.usefixtures("call")
def test_a_request_may_name_no_model() -> None:
    assert lease_request(_acquire(model="")).model == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"app_token": b"x" * (16 * 1024 + 1)}, "app_token"),
        ({"body_sha256": b""}, "body_sha256"),
        ({"body_sha256": b"\0" * 31}, "body_sha256"),
        ({"body_sha256": b"\0" * 33}, "body_sha256"),
        ({"key": ""}, "key"),
        ({"key": "users/../keys/openai"}, "key"),
        ({"app": ""}, "app"),
        ({"app": "billing"}, "app"),
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": "a" * 257}, "endpoint"),
        ({"endpoint": "chat\n"}, "endpoint"),
        ({"endpoint": "chat/é"}, "endpoint"),
        ({"model": "a" * 257}, "model"),
        ({"model": "gpt\0"}, "model"),
        ({"model": "gpt-é"}, "model"),
        ({"source_ip": ""}, "source_ip"),
        ({"source_ip": "10.1.2.3:443"}, "source_ip"),
        ({"source_ip": "example.org"}, "source_ip"),
        ({"source_ip": "10.1.2.3/32"}, "source_ip"),
    ],
    ids=lambda v: str(v)[:40],
)
@pytest.mark.usefixtures("call")
def test_a_lease_request_that_breaks_a_rule_is_refused_by_its_field(
    changes: dict[str, object], field: str
) -> None:
    message = _acquire(**{"app_token": b"header.canary.signature", **changes})

    with pytest.raises(InvalidFieldError) as caught:
        lease_request(message)

    assert caught.value.field == field
    assert message.app_token == b""


@pytest.mark.parametrize("source_ip", ["10.1.2.3", "::1", "2001:db8::1"])
@pytest.mark.usefixtures("call")
def test_a_source_may_be_of_either_family(source_ip: str) -> None:
    assert str(lease_request(_acquire(source_ip=source_ip)).source_ip) == source_ip


def test_a_lease_is_handed_over_whole() -> None:
    lease = Lease("0" * 32, KEY, 3, "1" * 16, START, CIPHERTEXT)

    assert lease_message(lease) == lease_pb.Lease(
        lease_id="0" * 32,
        sealed_key=CIPHERTEXT,
        key_version=3,
        grant=GRANT,
        expire_time=_timestamp(START),
    )


def test_a_settlement_is_read_whole() -> None:
    message = _settled(
        input_tokens=2**63, output_tokens=7, http_status=200, openai_request_id="req_1"
    )

    assert settlements([message]) == [
        LeaseSettlement(
            "0" * 32,
            "request-0001",
            str(KEY),
            GRANT,
            str(BILLING),
            LeaseOutcome.SERVED,
            2**63,
            7,
            200,
            "req_1",
        )
    ]


SENT_OUTCOMES = sorted(
    set(lease_pb.LeaseOutcome.values()) - {lease_pb.LEASE_OUTCOME_UNSPECIFIED}
)


@pytest.mark.parametrize("outcome", SENT_OUTCOMES)
def test_every_outcome_of_the_contract_has_its_own_word(outcome: int) -> None:
    (settled,) = settlements([_settled(outcome=outcome)])

    name = lease_pb.LeaseOutcome.Name(lease_pb.LeaseOutcome.ValueType(outcome))
    assert name == f"LEASE_OUTCOME_{settled.outcome.name}"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lease_id": ""}, "settlements.lease_id"),
        ({"lease_id": "0" * 31}, "settlements.lease_id"),
        ({"lease_id": "0" * 33}, "settlements.lease_id"),
        ({"lease_id": "A" * 32}, "settlements.lease_id"),
        ({"lease_id": "\u0661" * 32}, "settlements.lease_id"),
        ({"outcome": 0}, "settlements.outcome"),
        ({"outcome": 99}, "settlements.outcome"),
        ({"request_id": "a" * 257}, "settlements.request_id"),
        ({"request_id": "a\nb"}, "settlements.request_id"),
        ({"key": "alice"}, "settlements.key"),
        ({"grant": str(KEY)}, "settlements.grant"),
        ({"app": "billing"}, "settlements.app"),
        ({"openai_request_id": "é"}, "settlements.openai_request_id"),
    ],
    ids=ascii,
)
def test_a_settlement_that_breaks_a_rule_is_refused_by_its_field(
    changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        settlements([_settled(), _settled(**changes)])

    assert caught.value.field == field


@pytest.mark.parametrize("count", [0, MAX_SETTLEMENTS + 1])
def test_a_batch_has_1_to_1000_settlements(count: int) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        settlements([_settled()] * count)

    assert caught.value.field == "settlements"


def test_a_full_batch_is_accepted() -> None:
    assert len(settlements([_settled()] * MAX_SETTLEMENTS)) == MAX_SETTLEMENTS
