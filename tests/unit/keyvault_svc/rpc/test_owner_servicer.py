from __future__ import annotations

from datetime import timedelta

import pytest

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import owner_service_pb2 as owner_pb
from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.errors import NotTheOwnerError
from keyvault_svc.domain.grant_requests import GrantRequest, GrantRequests
from keyvault_svc.domain.limit_store import Reservation, Taken, UsageRow
from keyvault_svc.domain.limits import Amounts, Limits
from keyvault_svc.domain.person import PersonCaller
from keyvault_svc.domain.retention import RetentionPolicy
from keyvault_svc.domain.roles import RoleRules
from keyvault_svc.rpc.owner_servicer import OwnerServicer
from keyvault_svc.rpc.times import timestamp
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import NO_PLANS, Stage
from tests.unit.keyvault_svc.samples import KEY, SEARCH, make_grant, make_record, make_terms
from tests.unit.keyvault_svc.servicer_calls import ALICE, CONTEXT, call_by

DAY = timedelta(days=1)
OLGA = PersonCaller(
    name="olga",
    roles=frozenset({"person"}),
    groups=frozenset({"sre"}),
    rules=RoleRules(operator_groups=frozenset({"sre"})),
)


def _stage() -> Stage:
    revoked = make_grant(2, make_terms(SEARCH), revoke_time=START)
    return Stage(
        make_record(make_grant(1), revoked, fingerprint="canaryprint"),
        retention=RetentionPolicy(vault_backups=30 * DAY),
    )


def _servicer(stage: Stage) -> OwnerServicer:
    return OwnerServicer(stage.erasure, NO_PLANS, stage.clock)


async def test_an_export_holds_keys_and_all_grants_and_no_secret() -> None:
    with call_by(ALICE) as call:
        answer = await _servicer(_stage()).ExportOwner(
            owner_pb.ExportOwnerRequest(name="users/alice"), CONTEXT
        )

    (exported,) = answer.keys
    assert (answer.name, answer.export_time) == ("users/alice", timestamp(START))
    assert exported.key.name == str(KEY)
    assert [grant.revoker for grant in exported.grants] == ["", "alice"]
    assert "canary" not in str(answer)
    assert call.fields["owner"] == "users/alice"


async def test_an_export_holds_requests_limits_and_suspensions_but_not_why() -> None:
    stage = _stage()
    asked = GrantRequest("0" * 16, KEY, make_terms(), "Rechnungen", "dev", START)
    stage.requests.stored[KEY.owner] = GrantRequests(KEY.owner, (asked,))
    subject = Subject(KEY)
    suspension = Suspension(subject, "canary reason", "olga", START)
    limits = Limits(tokens_per_day=5)
    stage.controls.stored = Controls({subject: suspension}, {KEY.owner: limits})

    with call_by(ALICE):
        answer = await _servicer(stage).ExportOwner(
            owner_pb.ExportOwnerRequest(name="users/alice"), CONTEXT
        )

    (request,) = answer.grant_requests
    assert (request.requester, request.reason) == ("dev", "Rechnungen")
    assert answer.limits == limits_pb.Limits(tokens_per_day=5)
    assert list(answer.suspensions) == [
        owner_pb.ExportedSuspension(subject=str(KEY), create_time=timestamp(START))
    ]
    assert "canary" not in str(answer)


async def test_export_and_erasure_tell_what_is_kept_elsewhere() -> None:
    servicer = _servicer(_stage())

    with call_by(ALICE):
        exported = await servicer.ExportOwner(
            owner_pb.ExportOwnerRequest(name="users/alice"), CONTEXT
        )
        erased = await servicer.EraseOwner(owner_pb.EraseOwnerRequest(name="users/alice"), CONTEXT)

    elsewhere = [n for n in exported.retention_notices if n.place != "limit_store"]
    assert elsewhere == list(erased.retention_notices)
    notices = {notice.place: notice for notice in erased.retention_notices}
    assert notices["vault_backups"].retention.ToTimedelta() == 30 * DAY
    assert notices["vault_backups"].gone_time == timestamp(START + 30 * DAY)
    assert not notices["service_logs"].HasField("retention")
    assert not notices["service_logs"].HasField("gone_time")


async def test_an_erasure_is_answered_by_its_proofs() -> None:
    stage = _stage()

    with call_by(ALICE) as call:
        answer = await _servicer(stage).EraseOwner(
            owner_pb.EraseOwnerRequest(name="users/alice"), CONTEXT
        )

    assert [proof.key for proof in answer.proofs] == [str(KEY)]
    assert call.fields["count"] == 1
    assert stage.store.versions == {}


async def test_an_erasure_says_what_else_went() -> None:
    stage = _stage()
    subject = Subject(KEY)
    suspension = Suspension(subject, "drill", "olga", START)
    stage.controls.stored = Controls({subject: suspension}, {KEY.owner: Limits()})
    row = UsageRow(START.date(), "openai", "0" * 16, "spiffe://t/app", "", "", 1, 1, 1, 0, 0)
    await stage.limits.reserve(Reservation("1", KEY.owner, (), Amounts(), START + DAY), START)
    await stage.limits.settle(Taken("1", KEY.owner, Amounts(), row), START)

    with call_by(OLGA):
        answer = await _servicer(stage).EraseOwner(
            owner_pb.EraseOwnerRequest(name="users/alice"), CONTEXT
        )

    assert answer.forgotten_entry_count > 0
    assert (answer.ended_suspension_count, answer.has_ended_limits) == (1, True)


async def test_nobody_erases_anybody_else() -> None:
    stage = _stage()

    with call_by(ALICE), pytest.raises(NotTheOwnerError):
        await _servicer(stage).EraseOwner(owner_pb.EraseOwnerRequest(name="users/bob"), CONTEXT)


async def test_what_is_no_owner_is_refused() -> None:
    with call_by(ALICE), pytest.raises(InvalidFieldError):
        await _servicer(_stage()).ExportOwner(owner_pb.ExportOwnerRequest(name=str(KEY)), CONTEXT)
