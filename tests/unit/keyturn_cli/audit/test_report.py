from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import pytest

from keyturn_cli.audit.deployment import Deployment
from keyturn_cli.audit.options import VerifyOptions
from keyturn_cli.audit.report import MAX_WORDS, Dimension, ReportFilter, UsageReport
from keyturn_cli.audit.time_span import TimeSpan
from tests.unit.keyturn_cli.audit.key_use_lines import (
    APP,
    KEY,
    lease_at,
    opening_line,
    read_line,
    service_line,
    service_record,
    settlement_line,
    time_us,
    use_lines,
    vault_entry,
)

HOUR = 3600
OTHER_APP = "spiffe://keyturn.local/app/other"
OTHER_KEY = "teams/payments/keys/openai"


def _report(
    vault: Iterable[bytes] = (),
    services: Iterable[bytes] = (),
    *,
    by: Sequence[Dimension] = (Dimension.KEY, Dimension.APP),
    chosen: ReportFilter | None = None,
    max_rows: int = 100,
) -> UsageReport:
    report = UsageReport(Deployment(VerifyOptions()), by, chosen or ReportFilter(), max_rows)
    for line in vault:
        report.see_vault(vault_entry(line))
    for line in services:
        report.see_service(service_record(line))
    report.finish()
    return report


def test_a_row_tells_how_often_and_from_when_to_when_an_app_used_a_key() -> None:
    report = _report([*use_lines(0), *use_lines(60), read_line(90, lease_at(90))])

    row = report.rows[KEY, APP]
    assert (row.opened_count, row.refused_count) == (2, 1)
    assert (row.first_us, row.last_us) == (time_us(0.005), time_us(90))


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ([Dimension.OWNER], {("teams/payments",), ("users/alice",)}),
        ([Dimension.APP], {(APP,), (OTHER_APP,)}),
        ([Dimension.DAY], {("2026-02-03",), ("2026-02-04",)}),
        ([Dimension.HOUR], {("2026-02-03T10",), ("2026-02-03T11",), ("2026-02-04T00",)}),
        (
            [Dimension.DAY, Dimension.OWNER],
            {
                ("2026-02-03", "users/alice"),
                ("2026-02-03", "teams/payments"),
                ("2026-02-04", "users/alice"),
            },
        ),
    ],
    ids=["owner", "app", "day", "hour", "day and owner"],
)
def test_uses_are_summed_up_by_what_is_asked_for(
    by: list[Dimension], groups: set[tuple[str, ...]]
) -> None:
    report = _report(
        [
            *use_lines(0),
            *use_lines(HOUR, key=OTHER_KEY),
            *use_lines(14 * HOUR, app=OTHER_APP),
        ],
        by=by,
    )

    assert report.rows.keys() == groups
    assert sum(row.opened_count for row in report.rows.values()) == 3


@pytest.mark.parametrize(
    "chosen",
    [
        ReportFilter(owners=frozenset({"users/alice"})),
        ReportFilter(keys=frozenset({KEY})),
        ReportFilter(apps=frozenset({APP})),
        ReportFilter(span=TimeSpan(None, time_us(HOUR))),
    ],
    ids=["owner", "key", "app", "time"],
)
def test_only_what_is_chosen_counts(chosen: ReportFilter) -> None:
    report = _report(
        [*use_lines(0), *use_lines(2 * HOUR, key=OTHER_KEY, app=OTHER_APP)],
        [
            settlement_line(1, made=0),
            settlement_line(2 * HOUR, made=2 * HOUR, key=OTHER_KEY, app=OTHER_APP),
        ],
        chosen=chosen,
    )

    assert report.rows.keys() == {(KEY, APP)}
    assert (report.total.opened_count, report.total.settled_count) == (1, 1)


def test_an_opening_that_nobody_answered_before_the_end_counts() -> None:
    lease = lease_at(0)

    report = _report([read_line(0, lease), opening_line(1, lease, kind="request")])

    assert (report.total.opened_count, report.total.refused_count) == (1, 0)


def test_openings_that_name_no_key_are_told_whatever_is_chosen() -> None:
    unnamed = opening_line(10, "", role="root", key="", app="")

    report = _report([*use_lines(0), unnamed], chosen=ReportFilter(keys=frozenset({KEY})))

    assert (report.unnamed_count, report.total.opened_count) == (1, 1)


def test_the_log_of_the_key_service_adds_what_was_taken_and_why_not() -> None:
    refused = {"method": "/keyturn.keyvault.v1.KeyLeaseService/AcquireLease", "event": "rpc"}
    report = _report(
        use_lines(0),
        [
            settlement_line(1, made=0),
            settlement_line(2, made=1, outcome="unsettled", model="gpt-4o"),
            settlement_line(3, made=2, cost_usd=None),
            service_line(4, **refused, key=KEY, app=APP, reason="RATE_LIMITED"),
            service_line(5, **refused, key=KEY, app=APP, reason=None),
        ],
    )

    row = report.rows[KEY, APP]
    assert (row.settled_count, row.unsettled_count, row.unpriced_count) == (3, 1, 1)
    assert (row.input_tokens, row.output_tokens, row.usd) == (30, 12, Decimal("0.5"))
    assert row.models == {"gpt-4o-mini": 2, "gpt-4o": 1}
    assert row.reasons == {"RATE_LIMITED": 1}
    assert row.opened_count == 1


def test_what_a_long_call_took_counts_in_the_hour_in_which_it_began() -> None:
    report = _report(
        use_lines(0), [settlement_line(2 * HOUR, made=0)], by=[Dimension.KEY, Dimension.HOUR]
    )

    assert report.rows.keys() == {(KEY, "2026-02-03T10")}


def test_a_gateway_does_not_tell_what_was_taken() -> None:
    report = _report(services=[settlement_line(1, made=0, service="gateway-svc")])

    assert not report.rows
    assert not report.has_service_logs


@pytest.mark.parametrize(
    "cost", ["NaN", "sNaN", "Infinity", "-1", "1e400", "1e999999999", "much", "", 3]
)
def test_a_cost_that_is_none_is_no_price(cost: object) -> None:
    report = _report(services=[settlement_line(1, made=0, cost_usd=cost)])

    assert (report.total.usd, report.total.unpriced_count) == (Decimal(), 1)


def test_a_tiny_cost_is_a_price() -> None:
    report = _report(services=[settlement_line(1, made=0, cost_usd="3E-7")])

    assert report.total.usd == Decimal("0.0000003")


@pytest.mark.parametrize("count", [-1, True, "7", 1.5, 10**30, None])
def test_what_is_no_count_of_tokens_counts_nothing(count: object) -> None:
    report = _report(services=[settlement_line(1, made=0, input_tokens=count)])

    assert report.total.input_tokens == 0


def test_what_comes_to_no_row_is_in_the_rest_and_in_the_total() -> None:
    apps = [f"spiffe://keyturn.local/app/{number}" for number in range(5)]

    report = _report(
        [line for at, app in enumerate(apps) for line in use_lines(at, app=app)], max_rows=3
    )

    assert len(report.rows) == 3
    assert report.rest is not None
    assert (report.rest.opened_count, report.total.opened_count) == (2, 5)


def test_models_that_apps_make_up_do_not_fill_the_memory() -> None:
    report = _report(
        services=[settlement_line(at, made=0, model=f"model-{at}") for at in range(100)]
    )

    row = report.rows[KEY, APP]
    assert len(row.models) == MAX_WORDS + 1
    assert row.models.total() == 100


def test_the_most_used_comes_first() -> None:
    report = _report([*use_lines(0), *use_lines(1, app=OTHER_APP), *use_lines(2, app=OTHER_APP)])

    assert [group for group, _ in report.sorted_rows()] == [(KEY, OTHER_APP), (KEY, APP)]


def test_rows_of_times_are_in_the_order_of_time() -> None:
    report = _report(
        [*use_lines(0), *use_lines(HOUR), *use_lines(HOUR + 1)], by=[Dimension.APP, Dimension.HOUR]
    )

    assert [group for group, _ in report.sorted_rows()] == [
        (APP, "2026-02-03T10"),
        (APP, "2026-02-03T11"),
    ]
