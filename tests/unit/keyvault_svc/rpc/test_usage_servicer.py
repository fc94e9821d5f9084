from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.limits import LimitKind, LimitRef, Limits, LimitScope
from keyvault_svc.rpc.times import timestamp
from keyvault_svc.rpc.usage_servicer import UsageServicer
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import BILLING, KEY, make_record
from tests.unit.keyvault_svc.servicer_calls import ALICE, CONTEXT, call_by
from tests.unit.keyvault_svc.usage_stage import GRANT, UsageStage

TEXT = {"since_date": "2026-03-01", "until_date": "2026-03-31"}


@asynccontextmanager
async def _stage(*records: KeyRecord) -> AsyncIterator[UsageStage]:
    stage = UsageStage(*records)
    try:
        yield stage
    finally:
        await stage.limits.close()


async def _usage(stage: UsageStage, request: usage_pb.GetUsageRequest) -> usage_pb.GetUsageResponse:
    with call_by(ALICE):
        return await UsageServicer(stage.reporting).GetUsage(request, CONTEXT)


async def test_a_row_is_told_by_whole_names() -> None:
    async with _stage(make_record()) as stage:
        row = stage.row(member="bob", tokens=7, micro_usd=120, unpriced=1)
        await stage.use(row)

        answer = await _usage(stage, usage_pb.GetUsageRequest(name="users/alice"))

    assert list(answer.rows) == [
        usage_pb.UsageRow(
            date="2026-03-01",
            key=str(KEY),
            grant=f"{KEY}/grants/{GRANT}",
            app=str(BILLING),
            model="gpt-4o",
            member="bob",
            request_count=1,
            input_tokens=7,
            output_tokens=7,
            cost_micro_usd=120,
            unpriced_request_count=1,
        )
    ]
    assert answer.next_page_token == ""


async def test_a_standing_is_told_with_what_is_left_and_until_when() -> None:
    limits = Limits(usd_per_month=Decimal("0.5"))
    async with _stage(make_record().limited(limits)) as stage:
        ref = LimitRef(LimitScope.KEY, "openai", LimitKind.USD_PER_MONTH, 500_000)
        await stage.use(stage.row(micro_usd=125_000), ref)
        await stage.use(stage.row(micro_usd=5_000), ref, is_settled=False)

        answer = await _usage(stage, usage_pb.GetUsageRequest(name=str(KEY)))

    assert list(answer.standings) == [
        limits_pb.LimitStanding(
            scope=limits_pb.LIMIT_SCOPE_KEY,
            subject=str(KEY),
            kind=limits_pb.LIMIT_KIND_USD_PER_MONTH,
            limit=500_000,
            used=125_000,
            held=5_000,
            remaining=370_000,
            end_time=timestamp(START.replace(month=4, hour=0)),
        )
    ]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("users/alice", {"owner": "users/alice", "count": 0}),
        (str(KEY), {"key": str(KEY), "count": 0}),
    ],
)
async def test_the_audit_record_names_what_was_asked_for(
    name: str, fields: dict[str, object]
) -> None:
    async with _stage(make_record()) as stage:
        with call_by(ALICE) as call:
            request = usage_pb.GetUsageRequest(name=name)
            await UsageServicer(stage.reporting).GetUsage(request, CONTEXT)

    assert call.fields == fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "alice"),
        ("name", "users/alice/keys/"),
        ("name", f"{KEY}/grants/{GRANT}"),
        ("since_date", "2026-3-1"),
        ("since_date", "20260301"),
        ("since_date", "2026-W10-1"),
        ("since_date", "2026-02-29"),
        ("until_date", "tomorrow"),
        ("until_date", "2026-03-01T00:00:00Z"),
        ("until_date", "2026-03-01 "),
        ("page_token", "2026-03-01"),
        ("page_token", "2026-03-99/a/b/c/d/e"),
        ("page_token", "2026-03-01/a/b/c/d/e/f"),
        ("page_token", "%"),
        ("page_token", "/////"),
    ],
)
async def test_what_is_no_name_day_or_token_is_refused_by_its_field(field: str, value: str) -> None:
    request = usage_pb.GetUsageRequest(**{"name": "users/alice", field: value})
    async with _stage() as stage:
        with pytest.raises(InvalidFieldError) as caught:
            await _usage(stage, request)

    assert caught.value.field == field


async def test_what_does_not_fit_into_one_response_comes_with_the_next() -> None:
    models = [f"{'%/ é'[number % 4]}{'m' * 120}{number}" for number in range(1500)]
    async with _stage() as stage:
        for model in models:
            await stage.use(stage.row(model=model))
        pages = [await _usage(stage, usage_pb.GetUsageRequest(name="users/alice", **TEXT))]
        while token := pages[-1].next_page_token:
            request = usage_pb.GetUsageRequest(name="users/alice", page_token=token, **TEXT)
            pages.append(await _usage(stage, request))

    assert len(pages) == 2
    assert all(page.ByteSize() < 512 * 1024 for page in pages)
    assert [row.model for page in pages for row in page.rows] == sorted(models)


async def test_a_token_skips_days_that_are_done() -> None:
    async with _stage() as stage:
        await stage.use(stage.row())
        stage.clock.advance(timedelta(days=1).total_seconds())
        await stage.use(stage.row(model="a"))

        token = "2026-03-02/openai/"
        answer = await _usage(
            stage, usage_pb.GetUsageRequest(name="users/alice", page_token=f"{token}///")
        )

    assert [(row.date, row.model) for row in answer.rows] == [("2026-03-02", "a")]
