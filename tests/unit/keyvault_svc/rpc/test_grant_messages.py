from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, timedelta
from decimal import Decimal

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyvault_svc.domain.grant import GrantTerms
from keyvault_svc.domain.limits import Limits
from keyvault_svc.rpc.grant_messages import change_of_terms, grant_message, grant_terms
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


def test_a_change_replaces_what_the_mask_names_and_nothing_else() -> None:
    old = make_terms(models=("gpt-4o",), source_cidrs=("10.0.0.0/8",), expire_time=START)
    old = replace(old, limits=Limits(concurrent_calls=3, tokens_per_day=5))
    message = grant_pb.Grant(models=["o1"], endpoints=["never"], needs_app_proof=True)
    message.limits.usd_per_day = "5"

    change = change_of_terms(
        message, ["models", "expire_time", "limits.usd_per_day", "limits.tokens_per_day"]
    )

    assert change(old) == replace(
        old,
        models=("o1",),
        expire_time=None,
        limits=Limits(concurrent_calls=3, usd_per_day=Decimal(5)),
    )


def test_every_term_but_the_app_can_be_changed() -> None:
    names = {field.name for field in fields(GrantTerms)} - {"app"}
    message = grant_pb.Grant(models=["*"], endpoints=["*"])
    message.limits.concurrent_calls = 1

    change = change_of_terms(message, names)

    assert change(make_terms(models=("o1",))).limits == Limits(concurrent_calls=1)


@pytest.mark.parametrize(
    "paths", [[], ["app"], ["name"], ["models", "creator"], ["limits.bananas"], ["*"]], ids=str
)
def test_a_mask_that_names_nothing_or_what_cannot_change_is_refused(paths: list[str]) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        change_of_terms(grant_pb.Grant(models=["*"]), paths)

    assert caught.value.field == "update_mask"


def test_a_changed_term_keeps_its_rule() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        change_of_terms(grant_pb.Grant(), ["models"])

    assert caught.value.field == "grant.models"
