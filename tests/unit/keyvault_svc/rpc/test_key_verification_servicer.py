from __future__ import annotations

import pytest

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_verification_service_pb2 as verification_pb
from keyvault_svc.domain.errors import VerificationNotFoundError
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import KeyName
from keyvault_svc.rpc.key_verification_servicer import KeyVerificationServicer
from svc_runtime.service_error import CallerUnverifiedError, InvalidFieldError
from tests.unit.keyvault_svc import custody_stage
from tests.unit.keyvault_svc.custody_stage import API_KEY, GATEWAY, REQUEST, Stage
from tests.unit.keyvault_svc.samples import KEY
from tests.unit.keyvault_svc.servicer_calls import A_GATEWAY, CONTEXT, call_by

CLAIM = verification_pb.ClaimVerificationRequest()


async def _waiting() -> Stage:
    stage = Stage()
    await stage.custody.create(custody_stage.ALICE, KEY, API_KEY, REQUEST)
    return stage


def _report(**changes: object) -> verification_pb.ReportVerificationRequest:
    fields: dict[str, object] = {
        "key": str(KEY),
        "lease_id": "0" * 32,
        "outcome": key_pb.VERIFICATION_OUTCOME_VERIFIED,
    }
    return verification_pb.ReportVerificationRequest(**{**fields, **changes})  # type: ignore[arg-type]  # fields chosen at run time


async def test_a_poll_that_finds_nothing_is_idle() -> None:
    with call_by(A_GATEWAY) as call:
        answer = await KeyVerificationServicer(Stage().verifying).ClaimVerification(CLAIM, CONTEXT)

    assert not answer.HasField("verification")
    assert call.is_idle_poll


async def test_a_claim_names_the_key_the_lease_and_the_gateway_as_its_app() -> None:
    stage = await _waiting()

    with call_by(A_GATEWAY) as call:
        answer = await KeyVerificationServicer(stage.verifying).ClaimVerification(CLAIM, CONTEXT)

    verification = answer.verification
    assert (verification.key, verification.request_id) == (str(KEY), REQUEST)
    assert verification.app == str(GATEWAY)
    assert verification.lease.lease_id == stage.queued().lease_id
    assert verification.lease.grant == ""
    assert verification.lease.sealed_key in stage.stored().ciphertexts
    assert not call.is_idle_poll
    assert call.fields["lease"] == verification.lease.lease_id


async def test_a_report_is_taken() -> None:
    stage = await _waiting()
    servicer = KeyVerificationServicer(stage.verifying)

    with call_by(A_GATEWAY) as call:
        claimed = await servicer.ClaimVerification(CLAIM, CONTEXT)
        lease_id = claimed.verification.lease.lease_id
        await servicer.ReportVerification(_report(lease_id=lease_id), CONTEXT)

    assert stage.stored().state is KeyState.ACTIVE
    assert call.fields["outcome"] == "verified"
    assert call.fields["state"] == "active"


async def test_a_report_of_no_claim_is_refused() -> None:
    stage = await _waiting()

    with call_by(A_GATEWAY), pytest.raises(VerificationNotFoundError):
        await KeyVerificationServicer(stage.verifying).ReportVerification(_report(), CONTEXT)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"key": "alice"}, "key"), ({"lease_id": ""}, "lease_id"), ({"outcome": 0}, "outcome")],
)
async def test_a_report_that_breaks_a_rule_is_refused_by_its_field(
    changes: dict[str, object], field: str
) -> None:
    stage = await _waiting()

    with call_by(A_GATEWAY), pytest.raises(InvalidFieldError) as caught:
        await KeyVerificationServicer(stage.verifying).ReportVerification(
            _report(**changes), CONTEXT
        )

    assert caught.value.field == field


async def test_nobody_claims_without_a_name() -> None:
    stage = await _waiting()

    with call_by(None), pytest.raises(CallerUnverifiedError):
        await KeyVerificationServicer(stage.verifying).ClaimVerification(CLAIM, CONTEXT)


@pytest.mark.parametrize(("admin_key", "is_admin_key"), [(KEY, True), (None, False)])
async def test_a_claim_says_whether_it_is_of_the_admin_key(
    admin_key: KeyName | None, *, is_admin_key: bool
) -> None:
    stage = await _waiting()

    with call_by(A_GATEWAY):
        answer = await KeyVerificationServicer(stage.verifying, admin_key).ClaimVerification(
            CLAIM, CONTEXT
        )

    assert answer.verification.is_admin_key is is_admin_key
