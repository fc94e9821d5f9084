from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from click.testing import Result
from grpc import StatusCode

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn_cli.exit_codes import ExitCode
from keyvault_svc.domain.errors import LimitStoreUnavailableError, NotTheOwnerError
from svc_runtime.service_error import ServiceError
from tests.component.cli_stage import FakeServices

Run = Callable[..., Result]
KEY = "users/alice/keys/openai"
APP = "spiffe://example.org/app/billing"


def _row(day: str, model: str, micro_usd: int, *, unpriced: int = 0) -> usage_pb.UsageRow:
    return usage_pb.UsageRow(
        date=day,
        key=KEY,
        grant=f"{KEY}/grants/0123456789abcdef",
        app=APP,
        model=model,
        request_count=1000,
        input_tokens=20_000,
        output_tokens=300,
        cost_micro_usd=micro_usd,
        unpriced_request_count=unpriced,
    )


def _standing() -> limits_pb.LimitStanding:
    standing = limits_pb.LimitStanding(
        scope=limits_pb.LIMIT_SCOPE_KEY,
        subject=KEY,
        kind=limits_pb.LIMIT_KIND_USD_PER_MONTH,
        limit=50_000_000,
        used=12_500_000,
        held=500_000,
        remaining=37_000_000,
    )
    standing.end_time.FromJsonString("2027-02-01T00:00:00Z")
    return standing


@pytest.fixture
def used(services: FakeServices) -> FakeServices:
    services.usage_rows = [
        _row("2027-01-01", "gpt-4o", 1_000_000),
        _row("2027-01-02", "gpt-4o-mini", 1_250),
        _row("2027-01-02", "gpt-4o", 2_000_000),
    ]
    services.standings = [_standing()]
    return services


def _asked(services: FakeServices) -> tuple[str, str, str]:
    (request,) = services.usage_requests
    return request.name, request.since_date, request.until_date


def test_what_was_used_is_told_by_day_with_its_sum_then_what_is_left(
    run: Run, used: FakeServices
) -> None:
    result = run("usage", "openai", "--month", "2027-01")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "DAY         REQUESTS  INPUT TOKENS  OUTPUT TOKENS      USD",
        "2027-01-01     1,000        20,000            300  1.00000",
        "2027-01-02     2,000        40,000            600  2.00125",
        "total          3,000        60,000            900  3.00125",
        "",
        "LIMIT OF                 LIMIT           USED  HELD   MOST  TAKEN  RESETS",
        f"{KEY}  USD per month  12.50  0.50  50.00    26%  2027-02-01 00:00Z",
    ]
    assert result.stderr == f"{KEY}, from 2027-01-01 to 2027-01-31, in UTC:\n"
    assert _asked(used) == (KEY, "2027-01-01", "2027-01-31")


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("model", ["gpt-4o", "gpt-4o-mini"]),
        ("app", [APP]),
        ("key", [KEY]),
        ("member", ["-"]),
        ("day", ["2027-01-01", "2027-01-02"]),
    ],
)
def test_it_is_summed_up_by_what_is_asked_for(
    run: Run, used: FakeServices, by: str, groups: list[str]
) -> None:
    result = run("usage", "--by", by)

    table, _ = result.stdout.split("\n\n")
    lines = table.splitlines()
    assert lines[0].startswith(by.upper())
    assert [line.split()[0] for line in lines[1:]] == [*groups, "total"]
    assert lines[-1].split()[1:] == ["3,000", "60,000", "900", "3.00125"]
    assert len(used.usage_requests) == 1


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "users/alice"),
        (["teams/payments"], "teams/payments"),
        (["users/bob"], "users/bob"),
        (["openai"], KEY),
        ([KEY], KEY),
    ],
)
def test_it_is_of_oneself_of_an_owner_or_of_a_key(
    run: Run, services: FakeServices, arguments: list[str], name: str
) -> None:
    result = run("usage", *arguments)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines()[1:] == ["Nothing was used.", "No limits hold."]
    assert _asked(services)[0] == name


@pytest.mark.parametrize(
    ("arguments", "days"),
    [
        (["--since", "2027-01-05", "--until", "2027-01-09"], ("2027-01-05", "2027-01-09")),
        (["--until", "2027-01-09"], ("2027-01-01", "2027-01-09")),
        (["--month", "2028-02"], ("2028-02-01", "2028-02-29")),
        (["--since", "2027-01-01", "--until", "2028-01-02"], ("2027-01-01", "2028-01-02")),
    ],
)
def test_days_are_those_that_are_asked_for(
    run: Run, services: FakeServices, arguments: list[str], days: tuple[str, str]
) -> None:
    run("usage", *arguments)

    assert _asked(services)[1:] == days


def test_days_that_are_counted_end_today_and_include_it(run: Run, services: FakeServices) -> None:
    begin = datetime.now(UTC).date()
    run("usage", "--days", "7")
    end = datetime.now(UTC).date()

    _, since, until = _asked(services)
    assert date.fromisoformat(until) in {begin, end}
    assert date.fromisoformat(until) - date.fromisoformat(since) == timedelta(days=6)


def test_without_days_it_is_this_month(run: Run, services: FakeServices) -> None:
    begin = datetime.now(UTC).date()
    run("usage")
    end = datetime.now(UTC).date()

    _, since, until = _asked(services)
    assert until in {begin.isoformat(), end.isoformat()}
    assert since == f"{until[:8]}01"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--days", "7", "--month", "2027-01"],
        ["--days", "7", "--since", "2027-01-01"],
        ["--since", "2027-01-02", "--until", "2027-01-01"],
        ["--since", "2026-01-01", "--until", "2027-01-03"],
        ["--days", "0"],
        ["--days", "367"],
        ["--month", "2027-13"],
        ["--since", "yesterday"],
        ["--by", "colour"],
        ["--json", "--csv"],
    ],
)
def test_what_makes_no_sense_is_refused_before_any_call(
    run: Run, services: FakeServices, arguments: list[str]
) -> None:
    result = run("usage", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert services.calls == []


def test_requests_without_a_price_are_said_aloud(run: Run, services: FakeServices) -> None:
    services.usage_rows = [_row("2027-01-01", "gpt-9", 0, unpriced=400)]
    said = "Not in the USD: 400 of 1,000 requests, which have no known price."

    for arguments in (["usage"], ["usage", "--json"], ["usage", "--csv"]):
        assert said in run(*arguments).stderr.splitlines()


def test_programs_get_everything_in_whole_numbers(run: Run, used: FakeServices) -> None:
    used.usage_rows[0].unpriced_request_count = 3

    result = run("usage", "openai", "--month", "2027-01", "--by", "model", "--json")

    document = json.loads(result.stdout)
    assert [document[field] for field in ("name", "since_date", "until_date", "by")] == [
        *(KEY, "2027-01-01", "2027-01-31", "model")
    ]
    assert [(g["group"], g["cost_micro_usd"]) for g in document["usage"]] == [
        ("gpt-4o", 3_000_000),
        ("gpt-4o-mini", 1_250),
    ]
    assert document["total"] == {
        "request_count": 3000,
        "input_tokens": 60_000,
        "output_tokens": 900,
        "cost_micro_usd": 3_001_250,
        "unpriced_request_count": 3,
    }
    assert document["limits"] == [
        {
            "scope": "key",
            "subject": KEY,
            "kind": "usd_per_month",
            "unit": "micro_usd",
            "limit": 50_000_000,
            "used": 12_500_000,
            "held": 500_000,
            "remaining": 37_000_000,
            "end_time": "2027-02-01T00:00:00Z",
        }
    ]


def test_spreadsheets_get_the_sums_alone(run: Run, used: FakeServices) -> None:
    result = run("usage", "--by", "model", "--csv")

    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [(row["model"], row["requests"], row["usd"]) for row in rows] == [
        ("gpt-4o", "2000", "3.000000"),
        ("gpt-4o-mini", "1000", "0.001250"),
    ]
    assert (result.stderr, used.usage_requests[0].name) == ("", "users/alice")


def test_what_comes_in_pages_is_summed_up_as_one(run: Run, used: FakeServices) -> None:
    used.page_rows = 1

    result = run("usage", "--month", "2027-01")

    assert "total          3,000        60,000            900  3.00125" in result.stdout
    assert "USD per month" in result.stdout
    assert [request.page_token for request in used.usage_requests] == ["", "1", "2"]
    assert {request.since_date for request in used.usage_requests} == {"2027-01-01"}


@pytest.mark.parametrize(
    ("failure", "exit_code"),
    [
        ((LimitStoreUnavailableError(), StatusCode.UNAVAILABLE), ExitCode.UNAVAILABLE),
        ((NotTheOwnerError(), StatusCode.PERMISSION_DENIED), ExitCode.REFUSED),
    ],
)
def test_a_refusal_is_told_and_nothing_is_guessed(
    run: Run, services: FakeServices, failure: tuple[ServiceError, StatusCode], exit_code: int
) -> None:
    services.failure = failure

    result = run("usage", "users/bob")

    assert (result.exit_code, result.stdout) == (exit_code, "")


def test_limits_of_a_key_are_set_one_by_one(run: Run, services: FakeServices) -> None:
    run("keys", "add", "openai", "--stdin", stdin=b"sk-proj-canary0123456789abcdef")
    run("keys", "set", "openai", "--usd-per-month", "50", "--concurrent-calls", "3")

    result = run("keys", "set", "openai", "--tokens-per-day", "2000000")

    limits = limits_pb.Limits(concurrent_calls=3, tokens_per_day=2_000_000, usd_per_month="50")
    assert services.keys[KEY].limits == limits
    assert result.stderr.splitlines()[0].endswith(
        "limits: concurrent calls 3, tokens per day 2,000,000, USD per month 50.00."
    )
    shown = run("keys", "show", "openai").stdout
    assert "concurrent calls 3, tokens per day 2,000,000, USD per month 50.00" in shown
    assert json.loads(run("keys", "show", "openai", "--json").stdout)["limits"] == {
        "concurrent_calls": 3,
        "tokens_per_day": 2_000_000,
        "usd_per_month": "50",
    }


def test_limits_of_a_key_are_taken_away_but_those_that_are_given(
    run: Run, services: FakeServices
) -> None:
    run("keys", "add", "openai", "--stdin", stdin=b"sk-proj-canary0123456789abcdef")
    run("keys", "set", "openai", "--usd-per-month", "50", "--concurrent-calls", "3")

    run("keys", "set", "openai", "--no-limits", "--usd-per-day", "5")
    assert services.keys[KEY].limits == limits_pb.Limits(usd_per_day="5")
    result = run("keys", "set", "openai", "--no-limits")

    assert services.keys[KEY].limits == limits_pb.Limits()
    assert result.stderr.splitlines()[0].endswith("limits: none.")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--concurrent-calls", "0"],
        ["--concurrent-calls", "4294967296"],
        ["--tokens-per-day", "-1"],
        ["--requests-per-minute", "many"],
    ],
)
def test_a_limit_that_is_none_is_refused_before_any_call(
    run: Run, services: FakeServices, arguments: list[str]
) -> None:
    result = run("keys", "set", "openai", *arguments)

    assert (result.exit_code, services.calls) == (2, [])
