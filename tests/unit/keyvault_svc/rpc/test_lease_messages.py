from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.lease_pb2 import Lease as Message
from keyvault_svc.domain.lease import Lease, LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from keyvault_svc.rpc.lease_messages import (
    MAX_MORE_MODELS,
    MAX_SETTLEMENTS,
    lease_id_of,
    lease_message,
    lease_request,
    settlements,
)
from svc_runtime.call_context import CallContext, bind_call
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import (
    BILLING,
    CIPHERTEXT,
    KEY,
    make_request,
)

GRANT = f"{KEY}/grants/{'1' * 16}"


@pytest.fixture
def call() -> Iterator[CallContext]:
    with bind_call(CallContext("request-0001", "/test/Method")) as call:
        yield call


def _acquire(**changes: object) -> lease_pb.AcquireLeaseRequest:
    fields: dict[str, object] = {
        "key": str(KEY),
        "app": str(BILLING),
        "method": "POST",
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


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


@pytest.mark.usefixtures("call")
def test_a_lease_request_is_read_whole() -> None:
    message = _acquire(app_token=b"header.canary.signature")

    assert lease_request(message) == make_request(app_token=SecretBytes(b"header.canary.signature"))
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
        ({"method": ""}, "method"),
        ({"method": "get"}, "method"),
        ({"method": "M" * 17}, "method"),
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
        ({"more_models": ["m"] * (MAX_MORE_MODELS + 1)}, "more_models"),
        ({"more_models": ["gpt\0"]}, "more_models"),
        ({"source_ip": ""}, "source_ip"),
        ({"source_ip": "10.1.2.3:443"}, "source_ip"),
        ({"source_ip": "example.org"}, "source_ip"),
        ({"source_ip": "10.1.2.3/32"}, "source_ip"),
    ],
    ids=itertools.count(),
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

    assert lease_message(lease) == Message(
        lease_id="0" * 32,
        sealed_key=CIPHERTEXT,
        key_version=3,
        grant=GRANT,
        expire_time=_timestamp(START),
    )


def test_a_wrapped_lease_hands_over_its_token() -> None:
    lease = Lease("0" * 32, KEY, 3, "1" * 16, START, "", SecretBytes(b"canarytoken"))

    message = lease_message(lease)

    assert (message.sealed_key, message.wrapping_token) == ("", b"canarytoken")


def test_a_lease_to_verify_a_key_names_no_grant() -> None:
    assert lease_message(Lease("0" * 32, KEY, 3, "", START, CIPHERTEXT)).grant == ""


@pytest.mark.usefixtures("call")
def test_the_other_models_of_a_request_are_read_too() -> None:
    assert lease_request(_acquire(more_models=["o1", "gpt-4o"])).more_models == ("o1", "gpt-4o")


@pytest.mark.parametrize("lease_id", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "\u0661" * 32])
def test_what_is_no_leases_id_is_refused(lease_id: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        lease_id_of("lease_id", lease_id)

    assert caught.value.field == "lease_id"


def test_a_leases_id_is_taken() -> None:
    assert lease_id_of("lease_id", "0123456789abcdef" * 2) == "0123456789abcdef" * 2


@pytest.mark.usefixtures("call")
def test_a_body_that_is_streamed_has_no_sum_yet() -> None:
    assert lease_request(_acquire(body_sha256=b"")).body_sha256 == b""


def test_a_lease_says_where_and_for_whose_account_the_key_may_be_used() -> None:
    lease = Lease(
        "0" * 32,
        KEY,
        3,
        "1" * 16,
        START,
        CIPHERTEXT,
        base_url="https://eu.example/v1",
        may_choose_account=True,
    )
    message = lease_message(lease)

    assert (message.base_url, message.may_choose_account) == ("https://eu.example/v1", True)


USAGE = {
    "input_tokens": 2**63,
    "output_tokens": 7,
    "cached_input_tokens": 3,
    "reasoning_tokens": 4,
    "audio_seconds": 1.5,
    "images": 2,
    "model": "gpt-4o",
    "subject": "chatcmpl-1",
}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"source": 99}, "source"),
        ({"audio_seconds": -1.0}, "audio_seconds"),
        ({"audio_seconds": float("inf")}, "audio_seconds"),
        ({"audio_seconds": float("nan")}, "audio_seconds"),
        ({"model": "é"}, "model"),
        ({"subject": "x" * 257}, "subject"),
    ],
    ids=itertools.count(),
)
def test_a_usage_that_breaks_a_rule_is_refused_by_its_field(
    changes: dict[str, object], field: str
) -> None:
    usage = lease_pb.Usage(**{**USAGE, **changes})  # type: ignore[arg-type]  # fields chosen at run time
    with pytest.raises(InvalidFieldError) as caught:
        settlements([_settled(usage=usage)])

    assert caught.value.field == f"settlements.usage.{field}"


@pytest.mark.parametrize("source", lease_pb.UsageSource.values())
def test_every_source_of_the_contract_has_its_own_word(source: int) -> None:
    usage = lease_pb.Usage(source=lease_pb.UsageSource.ValueType(source))
    (settled,) = settlements([_settled(usage=usage)])

    name = lease_pb.UsageSource.Name(lease_pb.UsageSource.ValueType(source))
    word = name.removeprefix("USAGE_SOURCE_").replace("UNSPECIFIED", "NONE")
    assert settled.usage.source.name == word


def test_a_settlement_is_read_whole() -> None:
    message = _settled(
        usage=lease_pb.Usage(**USAGE, source=lease_pb.USAGE_SOURCE_REPORTED),  # type: ignore[arg-type]  # of several types
        http_status=200,
        openai_request_id="req_1",
        body_sha256=b"\1" * 32,
    )

    assert settlements([message]) == [
        LeaseSettlement(
            "0" * 32,
            "request-0001",
            str(KEY),
            GRANT,
            str(BILLING),
            LeaseOutcome.SERVED,
            Usage(2**63, 7, 3, 4, 1.5, 2, "gpt-4o", "chatcmpl-1", UsageSource.REPORTED),
            200,
            "req_1",
            b"\1" * 32,
        )
    ]


SENT_OUTCOMES = sorted(set(lease_pb.LeaseOutcome.values()) - {lease_pb.LEASE_OUTCOME_UNSPECIFIED})


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
        ({"grant": f"users/bob/keys/openai/grants/{'0' * 16}"}, "settlements.grant"),
        ({"app": "billing"}, "settlements.app"),
        ({"openai_request_id": "é"}, "settlements.openai_request_id"),
    ],
    ids=itertools.count(),
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
