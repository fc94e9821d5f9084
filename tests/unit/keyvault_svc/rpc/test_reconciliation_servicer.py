from __future__ import annotations

from datetime import timedelta

import pytest

from keyturn.keyvault.v1 import reconciliation_service_pb2 as reconciliation_pb
from keyvault_svc.rpc.reconciliation_servicer import MAX_USAGES, ReconciliationServicer
from svc_runtime.service_error import CallerUnverifiedError, InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import GATEWAY, REQUEST
from tests.unit.keyvault_svc.reconciling_stage import ADMIN_KEY, ReconcilingStage
from tests.unit.keyvault_svc.samples import KEY, make_record
from tests.unit.keyvault_svc.servicer_calls import A_GATEWAY, CONTEXT, call_by

ID = "key_alice0123"
YESTERDAY = (START - timedelta(days=1)).date().isoformat()


def _stage() -> ReconcilingStage:
    admin_key = make_record(name=ADMIN_KEY, fingerprint="admin")
    return ReconcilingStage(make_record().identified(ID), admin_key)


def _report(
    *usages: reconciliation_pb.OpenAIUsage, date: str = YESTERDAY
) -> reconciliation_pb.ReportReconciliationRequest:
    return reconciliation_pb.ReportReconciliationRequest(date=date, usages=usages)


def _usage(**changes: object) -> reconciliation_pb.OpenAIUsage:
    fields: dict[str, object] = {
        "openai_key_id": ID,
        "keys": [str(KEY)],
        "openai_usage": reconciliation_pb.CountedUsage(
            request_count=5, input_tokens=30, output_tokens=7
        ),
    }
    return reconciliation_pb.OpenAIUsage(**{**fields, **changes})  # type: ignore[arg-type]  # fields chosen at run time


async def test_keys_are_listed_with_both_their_names() -> None:
    stage = _stage()
    await stage.use(KEY, requests=2, input_tokens=20, output_tokens=4)

    with call_by(A_GATEWAY) as call:
        answer = await ReconciliationServicer(stage.reconciling).ListReconciledKeys(
            reconciliation_pb.ListReconciledKeysRequest(), CONTEXT
        )

    assert answer == reconciliation_pb.ListReconciledKeysResponse(
        date=YESTERDAY,
        keys=[
            reconciliation_pb.ReconciledKey(
                key=str(KEY),
                openai_key_id=ID,
                keyturn_usage=reconciliation_pb.CountedUsage(
                    request_count=2, input_tokens=20, output_tokens=4
                ),
            )
        ],
    )
    assert call.fields["count"] == 1


async def test_a_lease_names_the_admin_key_and_the_gateway_as_its_app() -> None:
    stage = _stage()

    with call_by(A_GATEWAY) as call:
        answer = await ReconciliationServicer(stage.reconciling).LeaseAdminKey(
            reconciliation_pb.LeaseAdminKeyRequest(), CONTEXT
        )

    assert (answer.key, answer.app, answer.request_id) == (str(ADMIN_KEY), str(GATEWAY), REQUEST)
    assert answer.lease.sealed_key in stage.stored(ADMIN_KEY).ciphertexts
    assert answer.lease.grant == ""
    assert call.fields["lease"] == answer.lease.lease_id
    assert (call.fields["key"], call.fields["app"]) == (str(ADMIN_KEY), str(GATEWAY))


async def test_a_report_is_answered_with_what_it_means() -> None:
    stage = _stage()
    await stage.use(KEY, requests=2, input_tokens=20, output_tokens=4)

    with call_by(A_GATEWAY):
        answer = await ReconciliationServicer(stage.reconciling).ReportReconciliation(
            _report(_usage()), CONTEXT
        )

    [comparison] = answer.comparisons
    assert (comparison.openai_key_id, list(comparison.keys)) == (ID, [str(KEY)])
    assert comparison.keyturn_usage.request_count == 2
    assert comparison.openai_usage == _usage().openai_usage
    assert comparison.verdict == reconciliation_pb.RECONCILIATION_VERDICT_USED_ELSEWHERE


async def test_the_admin_key_is_verified_again_when_openai_refused_it() -> None:
    stage = _stage()

    with call_by(A_GATEWAY):
        await ReconciliationServicer(stage.reconciling).RecheckAdminKey(
            reconciliation_pb.RecheckAdminKeyRequest(), CONTEXT
        )

    assert stage.queued(ADMIN_KEY).is_recheck


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        pytest.param(_report(_usage(), date=""), "date", id="no day"),
        pytest.param(_report(_usage(), date="31.1.2027"), "date", id="no such form"),
        pytest.param(_report(), "usages", id="nothing"),
        pytest.param(
            _report(*(_usage(openai_key_id=f"key_{n:04}") for n in range(MAX_USAGES + 1))),
            "usages",
            id="too much",
        ),
        pytest.param(_report(_usage(), _usage()), "usages.openai_key_id", id="twice"),
        pytest.param(_report(_usage(openai_key_id="")), "usages.openai_key_id", id="no id"),
        pytest.param(_report(_usage(openai_key_id="x")), "usages.openai_key_id", id="other id"),
        pytest.param(_report(_usage(keys=[])), "usages.keys", id="no key"),
        pytest.param(_report(_usage(keys=["alice"])), "usages.keys", id="no name"),
        pytest.param(_report(_usage(keys=[str(KEY)] * 501)), "usages.keys", id="too many keys"),
        pytest.param(
            _report(
                *(_usage(openai_key_id=f"key_{n:04}", keys=[str(KEY)] * 10) for n in range(51))
            ),
            "usages.keys",
            id="too many keys together",
        ),
        pytest.param(
            _report(_usage(openai_usage=reconciliation_pb.CountedUsage(input_tokens=2**48 + 1))),
            "usages.openai_usage",
            id="too many tokens",
        ),
    ],
)
async def test_a_report_that_breaks_a_rule_is_refused_by_its_field(
    request_: reconciliation_pb.ReportReconciliationRequest, field: str
) -> None:
    with call_by(A_GATEWAY), pytest.raises(InvalidFieldError) as caught:
        await ReconciliationServicer(_stage().reconciling).ReportReconciliation(request_, CONTEXT)

    assert caught.value.field == field


@pytest.mark.parametrize("token", ["x", "G" * 64, "0" * 65])
async def test_a_page_token_of_somebody_elses_making_is_refused(token: str) -> None:
    request = reconciliation_pb.ListReconciledKeysRequest(page_token=token)

    with call_by(A_GATEWAY), pytest.raises(InvalidFieldError) as caught:
        await ReconciliationServicer(_stage().reconciling).ListReconciledKeys(request, CONTEXT)

    assert caught.value.field == "page_token"


async def test_nobody_leases_the_admin_key_without_a_name() -> None:
    with call_by(None), pytest.raises(CallerUnverifiedError):
        await ReconciliationServicer(_stage().reconciling).LeaseAdminKey(
            reconciliation_pb.LeaseAdminKeyRequest(), CONTEXT
        )
