from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.lease_pb2 import Lease as Message
from keyturn.keyvault.v1.lease_pb2 import Remaining as RemainingMessage
from keyvault_svc.domain.lease import Lease, LeaseRequest, Remaining
from keyvault_svc.rpc.lease_messages import (
    MAX_MORE_MODELS,
    lease_id_of,
    lease_message,
    lease_request,
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
        "input_token_bound": 100,
    }
    return lease_pb.AcquireLeaseRequest(**{**fields, **changes})  # type: ignore[arg-type]  # fields chosen at run time


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
    request = lease_request(_acquire())

    assert (request.app_token, request.owner_token) == (None, None)


@pytest.mark.usefixtures("call")
def test_everything_that_a_gateway_may_say_is_read() -> None:
    message = _acquire(
        method="WEBSOCKET",
        body_sha256=b"",
        output_token_bound=7,
        owner_token=b"header.canary-owner.signature",
        answer_count=3,
        runs_tools=True,
        more_models=["o1"],
    )

    assert lease_request(message) == LeaseRequest(
        "request-0001",
        KEY,
        BILLING,
        "WEBSOCKET",
        "chat/completions",
        "gpt-4o",
        ip_address("10.1.2.3"),
        b"",
        100,
        7,
        None,
        ("o1",),
        SecretBytes(b"header.canary-owner.signature"),
        3,
        runs_tools=True,
    )
    assert message.owner_token == b""


@pytest.mark.parametrize(("said", "count"), [(0, 1), (1, 1), (1_000_000, 1_000_000)])
@pytest.mark.usefixtures("call")
def test_a_request_asks_for_one_answer_unless_it_says_more(said: int, count: int) -> None:
    assert lease_request(_acquire(answer_count=said)).answer_count == count


@pytest.mark.usefixtures("call")
def test_a_bound_may_be_as_large_as_a_limit() -> None:
    request = lease_request(_acquire(input_token_bound=10**12, output_token_bound=10**12))

    assert (request.input_token_bound, request.output_token_bound) == (10**12, 10**12)


@pytest.mark.usefixtures("call")
def test_a_request_may_name_no_model() -> None:
    assert lease_request(_acquire(model="")).model == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"app_token": b"x" * (16 * 1024 + 1)}, "app_token"),
        ({"owner_token": b"x" * (16 * 1024 + 1)}, "owner_token"),
        ({"input_token_bound": 10**12 + 1}, "input_token_bound"),
        ({"output_token_bound": 10**12 + 1}, "output_token_bound"),
        ({"answer_count": 1_000_001}, "answer_count"),
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
    tokens = dict.fromkeys(("app_token", "owner_token"), b"header.canary.signature")
    message = _acquire(**{**tokens, **changes})

    with pytest.raises(InvalidFieldError) as caught:
        lease_request(message)

    assert caught.value.field == field
    assert message.app_token == b""
    assert message.owner_token == b""


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


@pytest.mark.parametrize(
    ("remaining", "message"),
    [
        (Remaining(requests=0), RemainingMessage(requests=0)),
        (Remaining(tokens=7, micro_usd=0), RemainingMessage(tokens=7, micro_usd=0)),
    ],
)
def test_a_lease_says_what_is_left_and_of_no_limit_nothing(
    remaining: Remaining, message: RemainingMessage
) -> None:
    lease = Lease("0" * 32, KEY, 3, "1" * 16, START, CIPHERTEXT, remaining=remaining)

    assert lease_message(lease).remaining == message
    assert not lease_message(replace(lease, remaining=Remaining())).HasField("remaining")


@pytest.mark.usefixtures("call")
def test_an_ipv4_caller_of_a_dual_listener_has_an_ipv4_address() -> None:
    request = lease_request(_acquire(source_ip="::ffff:192.0.2.7"))

    assert request.source_ip == ip_address("192.0.2.7")
