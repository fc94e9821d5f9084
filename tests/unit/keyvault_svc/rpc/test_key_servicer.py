from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as key_service_pb
from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.limits import Limits
from keyvault_svc.rpc.key_servicer import KeyServicer
from keyvault_svc.rpc.times import timestamp
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import NO_PLANS, Stage
from tests.unit.keyvault_svc.samples import KEY, make_record
from tests.unit.keyvault_svc.servicer_calls import ALICE, CONTEXT, call_by

RAW_KEY = b"sk-proj-canary0123456789abcdef"
LATER = START + timedelta(days=1)


def _servicer(stage: Stage) -> KeyServicer:
    return KeyServicer(stage.custody, NO_PLANS, stage.clock)


async def test_a_key_is_taken_with_what_its_owner_chose() -> None:
    stage = Stage()
    request = key_service_pb.CreateKeyRequest(
        name=str(KEY),
        api_key=RAW_KEY,
        expire_time=timestamp(LATER),
        assurance=key_pb.KEY_ASSURANCE_HIGH,
    )

    with call_by(ALICE) as call:
        answer = await _servicer(stage).CreateKey(request, CONTEXT)

    assert (answer.key.name, answer.key.state) == (str(KEY), key_pb.KEY_STATE_PENDING)
    assert answer.key.expire_time == timestamp(LATER)
    assert stage.stored().assurance is KeyAssurance.HIGH
    assert request.api_key == b""
    assert call.fields == {"key": str(KEY), "key_version": 1, "state": "pending"}


async def test_an_update_takes_what_its_mask_names_and_nothing_else() -> None:
    stage = Stage(make_record())
    key = key_pb.Key(
        name=str(KEY), assurance=key_pb.KEY_ASSURANCE_HIGH, expire_time=timestamp(LATER)
    )
    servicer = _servicer(stage)

    with call_by(ALICE):
        for path in ("assurance", "expire_time"):
            await servicer.UpdateKey(
                key_service_pb.UpdateKeyRequest(key=key, update_mask=FieldMask(paths=[path])),
                CONTEXT,
            )
            if path == "assurance":
                assert stage.stored().expire_time is None

    assert (stage.stored().assurance, stage.stored().expire_time) == (KeyAssurance.HIGH, LATER)


async def test_an_expiry_that_the_mask_names_and_the_key_lacks_is_taken_off() -> None:
    stage = Stage(make_record().expiring(LATER))
    request = key_service_pb.UpdateKeyRequest(
        key=key_pb.Key(name=str(KEY)), update_mask=FieldMask(paths=["expire_time"])
    )

    with call_by(ALICE):
        answer = await _servicer(stage).UpdateKey(request, CONTEXT)

    assert not answer.key.HasField("expire_time")


@pytest.mark.parametrize(
    "paths", [[], ["state"], ["expire_time", "creator"], ["*"], ["limits.usd"]]
)
async def test_a_mask_of_anything_else_is_refused(paths: list[str]) -> None:
    request = key_service_pb.UpdateKeyRequest(
        key=key_pb.Key(name=str(KEY)), update_mask=FieldMask(paths=paths)
    )

    with call_by(ALICE), pytest.raises(InvalidFieldError) as caught:
        await _servicer(Stage(make_record())).UpdateKey(request, CONTEXT)

    assert caught.value.field == "update_mask"


async def test_a_single_limit_is_changed_and_the_others_stay() -> None:
    stage = Stage(make_record().limited(Limits(concurrent_calls=2, tokens_per_day=9)))
    key = key_pb.Key(name=str(KEY), limits=limits_pb.Limits(usd_per_month="50"))
    paths = ["limits.usd_per_month", "limits.tokens_per_day"]
    request = key_service_pb.UpdateKeyRequest(key=key, update_mask=FieldMask(paths=paths))

    with call_by(ALICE):
        answer = await _servicer(stage).UpdateKey(request, CONTEXT)

    assert stage.stored().limits == Limits(concurrent_calls=2, usd_per_month=Decimal(50))
    assert answer.key.limits == limits_pb.Limits(concurrent_calls=2, usd_per_month="50")


@pytest.mark.parametrize("limits", [None, limits_pb.Limits(requests_per_minute=7)])
async def test_limits_as_a_whole_take_the_place_of_all(limits: limits_pb.Limits | None) -> None:
    stage = Stage(make_record().limited(Limits(concurrent_calls=2, tokens_per_day=9)))
    key = key_pb.Key(name=str(KEY), limits=limits)
    request = key_service_pb.UpdateKeyRequest(key=key, update_mask=FieldMask(paths=["limits"]))

    with call_by(ALICE):
        answer = await _servicer(stage).UpdateKey(request, CONTEXT)

    assert stage.stored().limits == (Limits(requests_per_minute=7) if limits else Limits())
    assert answer.key.HasField("limits") == (limits is not None)


async def test_a_limit_that_breaks_its_rule_is_refused_by_its_name() -> None:
    stage = Stage(make_record())
    key = key_pb.Key(name=str(KEY), limits=limits_pb.Limits(usd_per_day="-1"))
    request = key_service_pb.UpdateKeyRequest(
        key=key, update_mask=FieldMask(paths=["limits.usd_per_day"])
    )

    with call_by(ALICE), pytest.raises(InvalidFieldError) as caught:
        await _servicer(stage).UpdateKey(request, CONTEXT)

    assert caught.value.field == "key.limits.usd_per_day"


async def test_a_deletion_is_answered_by_its_proof() -> None:
    stage = Stage(make_record())

    with call_by(ALICE) as call:
        answer = await _servicer(stage).DeleteKey(
            key_service_pb.DeleteKeyRequest(name=str(KEY)), CONTEXT
        )

    assert answer.proof.key == str(KEY)
    assert call.fields["count"] == answer.proof.destroyed_version_count == 2
