from __future__ import annotations

import pytest

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn_cli.usage_sums import Grouping, Used
from keyturn_cli.usage_views import (
    share,
    standing_document,
    standing_row,
    unpriced_words,
    usage_csv,
    usage_rows,
)

KEY = "users/alice/keys/openai"


def _standing(
    used: int,
    held: int,
    limit: int = 1000,
    kind: limits_pb.LimitKind.ValueType = limits_pb.LIMIT_KIND_TOKENS_PER_DAY,
) -> limits_pb.LimitStanding:
    standing = limits_pb.LimitStanding(
        scope=limits_pb.LIMIT_SCOPE_KEY,
        subject=KEY,
        kind=kind,
        limit=limit,
        used=used,
        held=held,
        remaining=max(0, limit - used - held),
    )
    if kind != limits_pb.LIMIT_KIND_CONCURRENT_CALLS:
        standing.end_time.FromJsonString("2027-01-02T00:00:00Z")
    return standing


@pytest.mark.parametrize(
    ("used", "held", "said"),
    [
        (0, 0, "0%"),
        (1, 0, "<1%"),
        (0, 10, "1%"),
        (500, 499, "99%"),
        (500, 500, "100%"),
        (1500, 0, "150%"),
    ],
)
def test_a_limit_is_said_to_be_used_up_only_when_it_is(used: int, held: int, said: str) -> None:
    assert share(_standing(used, held)) == said


def test_each_limit_is_told_in_its_unit() -> None:
    tokens = _standing(12_345, 600, 1_000_000)
    usd = _standing(1_234_567_890, 250, 50_000_000_000, limits_pb.LIMIT_KIND_USD_PER_MONTH)
    calls = _standing(0, 3, 10, limits_pb.LIMIT_KIND_CONCURRENT_CALLS)
    resets = "2027-01-02 00:00Z"

    assert standing_row(tokens) == [
        *(KEY, "tokens per day", "12,345", "600", "1,000,000", "1%", resets)
    ]
    assert standing_row(usd) == [
        *(KEY, "USD per month", "1,234.56789", "0.00025", "50,000.00000", "2%", resets)
    ]
    assert standing_row(calls) == [KEY, "concurrent calls", "0", "3", "10", "30%", ""]


def test_programs_get_whole_numbers_and_their_unit() -> None:
    document = standing_document(_standing(1, 2, 5, limits_pb.LIMIT_KIND_USD_PER_DAY))

    assert document == {
        "scope": "key",
        "subject": KEY,
        "kind": "usd_per_day",
        "unit": "micro_usd",
        "limit": 5,
        "used": 1,
        "held": 2,
        "remaining": 2,
        "end_time": "2027-01-02T00:00:00Z",
    }


@pytest.mark.parametrize("kind", list(limits_pb.LimitKind.values())[1:])
def test_every_kind_of_limit_has_a_unit(kind: limits_pb.LimitKind.ValueType) -> None:
    document = standing_document(_standing(0, 0, kind=kind))

    name = document["kind"]
    assert document["unit"] in {"requests", "tokens", "micro_usd"}
    assert (document["unit"] == "tokens") == ("tokens" in name)
    assert (document["unit"] == "micro_usd") == ("usd" in name)


def test_sums_end_with_the_sum_of_all_in_the_same_places() -> None:
    groups = {"gpt-4o": Used(1200, 3_000_000, 5, 1_250_000), "gpt-4": Used(1, 2, 3, 125)}

    assert usage_rows(groups) == [
        ["gpt-4o", "1,200", "3,000,000", "5", "1.250000"],
        ["gpt-4", "1", "2", "3", "0.000125"],
        ["total", "1,201", "3,000,002", "8", "1.250125"],
    ]


def test_requests_without_a_price_are_said_to_be_missing() -> None:
    assert unpriced_words(Used(requests=5)) == ""
    assert unpriced_words(Used(requests=2500, unpriced_requests=1200)) == (
        "Not in the USD: 1,200 of 2,500 requests, which have no known price."
    )


def test_csv_has_plain_numbers_under_stable_names() -> None:
    rows = [
        usage_pb.UsageRow(
            model="a,b",
            request_count=1200,
            input_tokens=5000,
            output_tokens=7,
            cost_micro_usd=1_250_000,
            unpriced_request_count=1,
        )
    ]

    assert usage_csv(rows, Grouping.MODEL).splitlines() == [
        "model,requests,input_tokens,output_tokens,usd,unpriced_requests",
        '"a,b",1200,5000,7,1.250000,1',
    ]


@pytest.mark.parametrize("model", ["=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", "\n=1"])
def test_a_models_name_never_becomes_a_formula(model: str) -> None:
    _, line = usage_csv([usage_pb.UsageRow(model=model)], Grouping.MODEL).splitlines()

    assert line.strip('"')[0] in {"'", "\N{REPLACEMENT CHARACTER}"}
