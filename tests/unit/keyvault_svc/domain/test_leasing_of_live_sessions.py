from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from keyvault_svc.domain.controls import Controls
from keyvault_svc.domain.errors import ModelPriceUnknownError, TokenBoundRequiredError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.limits import LimitKind, Limits
from svc_runtime.service_error import ServiceError
from tests.unit.keyvault_svc.lease_stage import LeaseStage
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record, make_request, make_terms

TOKENS = Limits(tokens_per_day=1000)
USD = Limits(usd_per_month=Decimal(5))
RATES = Limits(requests_per_minute=1, concurrent_calls=1)
SESSION = replace(
    make_request(endpoint="realtime", model="painter"), method="WEBSOCKET", body_sha256=b""
)


def _record(limits: Limits) -> KeyRecord:
    return make_record(make_grant(1, make_terms(models=("*",), endpoints=("*",), limits=limits)))


async def test_a_session_that_was_reserved_for_goes_on() -> None:
    stage = LeaseStage(_record(USD))
    await stage.leasing.acquire(SESSION)

    for _ in range(3):
        await stage.leasing.check(SESSION)

    assert await stage.counted(LimitKind.USD_PER_MONTH) == (0, 400_000)


@pytest.mark.parametrize(
    ("model", "refusal"),
    [
        ("unheard-of", ModelPriceUnknownError),
        ("gpt-4o", TokenBoundRequiredError),
        ("whisper-1", TokenBoundRequiredError),
        ("sculptor", TokenBoundRequiredError),
    ],
)
async def test_under_a_limit_in_usd_a_session_uses_no_model_that_nothing_was_reserved_for(
    model: str, refusal: type[ServiceError]
) -> None:
    stage = LeaseStage(_record(USD))
    await stage.leasing.acquire(SESSION)

    with pytest.raises(refusal):
        await stage.leasing.check(replace(SESSION, more_models=(model,)))


@pytest.mark.parametrize("limits", [Limits(), RATES], ids=["no limits", "limits on rates"])
async def test_where_neither_tokens_nor_usd_are_limited_a_session_uses_any_model(
    limits: Limits,
) -> None:
    stage = LeaseStage(_record(limits))
    await stage.leasing.acquire(SESSION)

    await stage.leasing.check(replace(SESSION, more_models=("unheard-of", "gpt-4o", "sculptor")))


async def test_a_session_that_began_without_limits_ends_once_the_grant_has_some() -> None:
    stage = LeaseStage(_record(Limits()))
    await stage.leasing.acquire(SESSION)

    stage.store.put(_record(TOKENS))

    with pytest.raises(TokenBoundRequiredError):
        await stage.leasing.check(SESSION)


async def test_a_session_that_began_without_limits_ends_once_its_owner_has_some() -> None:
    stage = LeaseStage(_record(Limits()))
    await stage.leasing.acquire(SESSION)

    stage.controls.stored = Controls(owner_limits={KEY.owner: TOKENS})

    with pytest.raises(TokenBoundRequiredError):
        await stage.leasing.check(SESSION)
