from __future__ import annotations

import itertools

import pytest

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from keyvault_svc.rpc.lease_messages import (
    MAX_SETTLEMENTS,
    settlements,
)
from svc_runtime.service_error import InvalidFieldError
from tests.unit.keyvault_svc.samples import (
    BILLING,
    KEY,
)

GRANT = f"{KEY}/grants/{'1' * 16}"


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
            GrantName(KEY, "1" * 16),
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
