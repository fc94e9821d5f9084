from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyvault_svc.rpc.grant_messages import grant_message, grant_terms
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import BILLING, KEY, make_grant, make_terms


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


def test_a_time_that_cannot_be_is_refused_by_its_field() -> None:
    message = grant_pb.Grant(
        app=str(BILLING),
        models=["*"],
        endpoints=["*"],
        expire_time=Timestamp(seconds=2**62),
    )

    with pytest.raises(InvalidFieldError) as caught:
        grant_terms(message)

    assert caught.value.field == "grant.expire_time"
