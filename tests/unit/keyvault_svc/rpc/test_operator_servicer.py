from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import operator_service_pb2 as operator_pb
from keyvault_svc.domain.controls import Controls
from keyvault_svc.domain.errors import NotTheOwnerError
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.operating import Operating
from keyvault_svc.domain.roles import RoleRules
from keyvault_svc.rpc.operator_servicer import OperatorServicer
from keyvault_svc.rpc.times import timestamp
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_controls_store import FakeControlsStore
from tests.fakes.fake_notifier import FakeNotifier
from tests.fakes.fake_operating_log import FakeOperatingLog
from tests.unit.keyvault_svc.servicer_calls import ALICE, CONTEXT, call_by

OPERATOR = replace(
    ALICE,
    name="olga",
    groups=["sre"],
    rules=RoleRules(operator_groups=frozenset({"sre"})),
)
DEFAULT = Limits(usd_per_month=Decimal(100))
APP = "spiffe://example.org/app/billing"


def _servicer(store: FakeControlsStore) -> OperatorServicer:
    return OperatorServicer(
        Operating(store, FakeOperatingLog(), FakeNotifier(), DEFAULT, FakeClock())
    )


def _suspend(subject: str, reason: str = "leaked") -> operator_pb.SuspendRequest:
    return operator_pb.SuspendRequest(
        suspension=operator_pb.Suspension(subject=subject, reason=reason, creator="mallory")
    )


def _limits(owner: str, limits: limits_pb.Limits | None) -> operator_pb.SetOwnerLimitsRequest:
    return operator_pb.SetOwnerLimitsRequest(
        owner_limits=operator_pb.OwnerLimits(owner=owner, limits=limits)
    )


async def test_a_stop_is_told_with_who_made_it_and_when() -> None:
    servicer = _servicer(FakeControlsStore())

    with call_by(OPERATOR):
        made = await servicer.Suspend(_suspend("users/alice"), CONTEXT)
        told = await servicer.GetControls(operator_pb.GetControlsRequest(), CONTEXT)

    assert made.suspension == operator_pb.Suspension(
        subject="users/alice", reason="leaked", creator="olga", create_time=timestamp(START)
    )
    assert list(told.suspensions) == [made.suspension]


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("users/alice/keys/openai", {"key": "users/alice/keys/openai"}),
        ("teams/payments", {"owner": "teams/payments"}),
        (APP, {"app": APP}),
        ("*", {"key": "*", "owner": "*", "app": "*"}),
    ],
)
async def test_the_record_of_a_call_says_what_was_stopped_or_resumed(
    subject: str, fields: dict[str, str]
) -> None:
    servicer = _servicer(FakeControlsStore())

    with call_by(OPERATOR) as suspending:
        await servicer.Suspend(_suspend(subject), CONTEXT)
    with call_by(OPERATOR) as resuming:
        await servicer.Resume(operator_pb.ResumeRequest(subject=subject), CONTEXT)

    assert suspending.fields == resuming.fields == fields


async def test_resuming_tells_whether_there_was_a_stop() -> None:
    servicer = _servicer(FakeControlsStore())
    request = operator_pb.ResumeRequest(subject="*")

    with call_by(OPERATOR):
        await servicer.Suspend(_suspend("*"), CONTEXT)
        answers = [await servicer.Resume(request, CONTEXT) for _ in range(2)]

    assert [answer.was_suspended for answer in answers] == [True, False]


async def test_limits_of_an_owner_are_set_emptied_and_taken_back() -> None:
    store = FakeControlsStore()
    servicer = _servicer(store)
    strict = limits_pb.Limits(concurrent_calls=2, usd_per_day="0.50")

    with call_by(OPERATOR):
        answers = [
            await servicer.SetOwnerLimits(_limits("users/alice", limits), CONTEXT)
            for limits in (strict, limits_pb.Limits(), None)
        ]

    told = [answer.owner_limits.limits for answer in answers]
    assert told == [strict, limits_pb.Limits(), limits_pb.Limits(usd_per_month="100")]
    assert store.stored == Controls(revision=3)


async def test_all_controls_are_told_the_owners_by_name() -> None:
    servicer = _servicer(FakeControlsStore())

    with call_by(OPERATOR):
        for owner in ("users/bob", "teams/payments", "users/alice"):
            request = _limits(owner, limits_pb.Limits(requests_per_minute=7))
            await servicer.SetOwnerLimits(request, CONTEXT)
        told = await servicer.GetControls(operator_pb.GetControlsRequest(), CONTEXT)

    assert [limited.owner for limited in told.owner_limits] == [
        "teams/payments",
        "users/alice",
        "users/bob",
    ]
    assert told.owner_limits[0].limits == limits_pb.Limits(requests_per_minute=7)
    assert told.default_owner_limits == limits_pb.Limits(usd_per_month="100")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (_suspend(""), "suspension.subject"),
        (_suspend("users/alice", ""), "suspension.reason"),
        (_suspend("users/alice", "a\nb"), "suspension.reason"),
    ],
    ids=["no subject", "no reason", "two lines"],
)
async def test_a_stop_that_breaks_a_rule_is_refused_by_its_field(
    request_: operator_pb.SuspendRequest, field: str
) -> None:
    store = FakeControlsStore()

    with call_by(OPERATOR), pytest.raises(InvalidFieldError) as caught:
        await _servicer(store).Suspend(request_, CONTEXT)

    assert caught.value.field == field
    assert store.line.requests == []


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (_limits("alice", None), "owner_limits.owner"),
        (_limits("users/alice/keys/openai", None), "owner_limits.owner"),
        (
            _limits("users/alice", limits_pb.Limits(tokens_per_day=0)),
            "owner_limits.limits.tokens_per_day",
        ),
        (
            _limits("users/alice", limits_pb.Limits(usd_per_day="-1")),
            "owner_limits.limits.usd_per_day",
        ),
    ],
    ids=["no owner", "a key", "no tokens", "negative"],
)
async def test_limits_that_break_a_rule_are_refused_by_their_field(
    request_: operator_pb.SetOwnerLimitsRequest, field: str
) -> None:
    with call_by(OPERATOR), pytest.raises(InvalidFieldError) as caught:
        await _servicer(FakeControlsStore()).SetOwnerLimits(request_, CONTEXT)

    assert caught.value.field == field


async def test_an_owner_is_refused() -> None:
    store = FakeControlsStore()

    with call_by(ALICE), pytest.raises(NotTheOwnerError):
        await _servicer(store).Suspend(_suspend("users/alice"), CONTEXT)

    assert store.line.requests == []
