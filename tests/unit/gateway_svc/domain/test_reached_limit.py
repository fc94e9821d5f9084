from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_svc.domain.errors import BudgetSpentError, RateLimitedError
from gateway_svc.domain.reached_limit import ReachedLimit, usd
from keyvault_svc.domain.limits import LimitKind, LimitScope

DETAILS = {
    "scope": "key",
    "kind": "usd_per_month",
    "limit": "25000000",
    "remaining": "312500",
    "end_time": "2026-04-01T00:00:00+00:00",
}
_TEXT = re.compile(
    r"The (grant|key|key's owner) may take [0-9,.]+ "
    r"(calls at the same time|(requests|tokens|USD) per (minute|day|month)); "
    r"[0-9,.]+ left( until [0-9-]{10} [0-9:]{8} UTC)?\."
)
END = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize("scope", LimitScope)
@pytest.mark.parametrize("kind", LimitKind)
def test_every_limit_that_the_key_service_knows_is_named(kind: str, scope: str) -> None:
    details = DETAILS | {"kind": str(kind), "scope": str(scope)}
    limit = ReachedLimit.of(details)

    assert limit == ReachedLimit(scope, kind, 25_000_000, 312_500, END)
    assert limit is not None
    assert limit.details == details
    assert str(scope) in limit.text


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (
            ReachedLimit("key", "usd_per_month", 25_000_000, 312_500, END),
            "The key may take 25 USD per month; 0.3125 left until 2026-04-01 00:00:00 UTC.",
        ),
        (
            ReachedLimit("grant", "tokens_per_day", 9_000, 1_500, END),
            "The grant may take 9,000 tokens per day; 1,500 left until 2026-04-01 00:00:00 UTC.",
        ),
        (
            ReachedLimit("owner", "concurrent_calls", 5, 0),
            "The key's owner may take 5 calls at the same time; 0 left.",
        ),
    ],
)
def test_people_read_the_limit_what_is_left_and_until_when(limit: ReachedLimit, text: str) -> None:
    assert limit.text == text
    assert RateLimitedError(limit).public_message == f"{RateLimitedError.public_message} {text}"
    assert BudgetSpentError(limit).public_message.endswith(text)


def test_an_error_whose_limit_is_not_known_says_so_much_less() -> None:
    error = RateLimitedError()

    assert (error.public_message, error.details) == (RateLimitedError.public_message, {})


@pytest.mark.parametrize("name", ["scope", "kind", "limit", "remaining"])
@pytest.mark.parametrize("value", [None, "", "canary", "-1", "1e3", "\u0661", "9" * 20])
def test_details_that_are_not_the_key_services_name_no_limit(name: str, value: str | None) -> None:
    details = dict(DETAILS)
    del details[name]

    assert ReachedLimit.of(details if value is None else details | {name: value}) is None


@pytest.mark.parametrize(
    "time",
    [
        "",
        "canary",
        "2026-04-01",
        "2026-04-01T00:00:00",
        "2026-04-01T00:00:00+02:00",
        "2026-04-01T::::::::Z",
        "2026-04-01T99:99:99Z",
        "2026-13-01T00:00:00Z",
    ],
)
def test_a_time_that_is_none_is_left_out(time: str) -> None:
    limit = ReachedLimit.of(DETAILS | {"end_time": time})

    assert limit == ReachedLimit("key", "usd_per_month", 25_000_000, 312_500)


@given(st.dictionaries(st.sampled_from(list(DETAILS)), st.text()))
def test_nothing_but_fixed_words_and_checked_values_is_said(wire: dict[str, str]) -> None:
    limit = ReachedLimit.of(DETAILS | wire)

    assert limit is None or _TEXT.fullmatch(limit.text)


@pytest.mark.parametrize(
    ("micro_usd", "text"),
    [
        (0, "0"),
        (1, "0.000001"),
        (500_000, "0.5"),
        (100_000_000, "100"),
        (2**64, "18446744073709.551616"),
    ],
)
def test_amounts_of_usd_are_plain_decimal_numbers(micro_usd: int, text: str) -> None:
    assert usd(micro_usd) == text
