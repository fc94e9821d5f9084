from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keyvault_svc.domain.charging import Charge, Charging
from keyvault_svc.domain.errors import ModelPriceUnknownError, TokenBoundRequiredError
from keyvault_svc.domain.lease import LeaseRequest
from keyvault_svc.domain.limits import Amounts, LimitKind, Limits, LimitScope
from keyvault_svc.domain.prices import ModelPrice, PriceList
from keyvault_svc.domain.usage import Usage, UsageSource
from tests.unit.keyvault_svc.lease_stage import PRICES, TOKENS, USD
from tests.unit.keyvault_svc.samples import (
    KEY,
    make_grant,
    make_record,
    make_request,
    make_terms,
)

NO_BODY = hashlib.sha256(b"").digest()
BOTH = Limits(tokens_per_minute=10, usd_per_day=Decimal(1))
RATES = Limits(concurrent_calls=2, requests_per_minute=10)
BOUNDED = replace(make_request(), input_token_bound=100, output_token_bound=50)
UNBOUNDED = replace(make_request(), input_token_bound=0, output_token_bound=0)
WINDOW = (128_000, 16_384)  # of gpt-4o in the list


def _charge(limits: Limits, request: LeaseRequest = BOUNDED, prices: PriceList = PRICES) -> Charge:
    grant = make_grant(1, make_terms(limits=limits))
    return Charging(prices).charge(make_record(grant), grant, Limits(), request)


# Which limits, and in which order


def test_rates_are_checked_before_budgets_and_the_grant_before_the_key_before_the_owner() -> None:
    every = Limits(1, 2, 3, 4, 5, Decimal(6), Decimal(7))
    grant = make_grant(1, make_terms(limits=every))
    record = replace(make_record(grant), limits=every)

    charge = Charging(PRICES).charge(record, grant, every, BOUNDED)

    rates, budgets = list(LimitKind)[:3], list(LimitKind)[3:]
    assert [(ref.kind, ref.scope) for ref in charge.limits] == [
        *((kind, scope) for scope in LimitScope for kind in rates),
        *((kind, scope) for scope in LimitScope for kind in budgets),
    ]
    assert {ref.kind.is_budget for ref in charge.limits[:9]} == {False}


def test_each_limit_is_counted_where_its_scope_is() -> None:
    grant = make_grant(1, make_terms(limits=Limits(requests_per_minute=1)))
    record = replace(make_record(grant), limits=Limits(requests_per_minute=2))

    charge = Charging(PRICES).charge(record, grant, Limits(requests_per_minute=3), BOUNDED)

    assert [(ref.scope, ref.subject, ref.limit) for ref in charge.limits] == [
        (LimitScope.GRANT, f"{KEY.key_id}/{grant.grant_id}", 1),
        (LimitScope.KEY, KEY.key_id, 2),
        (LimitScope.OWNER, "", 3),
    ]


def test_without_limits_nothing_is_reserved_and_the_gateways_bounds_stand() -> None:
    assert _charge(Limits()) == Charge((), Amounts(), Usage(100, 50))


@pytest.mark.parametrize("request_", [UNBOUNDED, replace(UNBOUNDED, model="unheard-of")])
def test_limits_on_requests_and_calls_need_neither_bound_nor_price(request_: LeaseRequest) -> None:
    charge = _charge(RATES, replace(request_, runs_tools=True, method="WEBSOCKET"))

    assert (len(charge.limits), charge.amounts) == (2, Amounts(requests=1))


# Tokens


@pytest.mark.parametrize(
    ("request_", "bound"),
    [
        (BOUNDED, (100, 50)),
        (replace(BOUNDED, model="unheard-of"), (100, 50)),
        (replace(BOUNDED, model=""), (100, 50)),
        (replace(BOUNDED, input_token_bound=0), (WINDOW[0], 50)),
        (replace(BOUNDED, output_token_bound=0), (100, WINDOW[1])),
        (replace(BOUNDED, output_token_bound=0, answer_count=3), (100, 3 * WINDOW[1])),
        (replace(BOUNDED, answer_count=3), (100, 50)),
        (UNBOUNDED, WINDOW),
        (replace(UNBOUNDED, input_token_bound=7, model="embedder"), (7, 0)),
        (replace(UNBOUNDED, model="gpt-4o-2024-08-06"), WINDOW),
        (replace(UNBOUNDED, more_models=("gpt-4o-latest",)), WINDOW),
    ],
    ids=itertools.count(),
)
def test_the_most_tokens_are_the_requests_bounds_or_else_the_models(
    request_: LeaseRequest, bound: tuple[int, int]
) -> None:
    charge = _charge(TOKENS, request_)

    assert charge.bound == Usage(*bound)
    assert charge.amounts == Amounts(1, sum(bound), 0)


@pytest.mark.parametrize(
    "request_",
    [
        replace(BOUNDED, output_token_bound=0, model="no-window"),
        replace(BOUNDED, input_token_bound=0, model="no-window"),
        replace(BOUNDED, input_token_bound=0, model="embedder"),
        replace(BOUNDED, output_token_bound=0, model="unheard-of"),
        replace(BOUNDED, output_token_bound=0, model=""),
        replace(UNBOUNDED, more_models=("no-window",)),
        replace(UNBOUNDED, more_models=("unheard-of",)),
        replace(BOUNDED, runs_tools=True),
        replace(BOUNDED, method="WEBSOCKET"),
        replace(UNBOUNDED, method="WEBSOCKET", body_sha256=b"", model=""),
        replace(UNBOUNDED, method="WEBSOCKET", body_sha256=NO_BODY, model=""),
        replace(UNBOUNDED, model="painter"),
    ],
    ids=itertools.count(),
)
@pytest.mark.parametrize("limits", [TOKENS, BOTH], ids=["tokens", "tokens and USD"])
def test_under_a_limit_in_tokens_what_nothing_bounds_is_refused(
    limits: Limits, request_: LeaseRequest
) -> None:
    with pytest.raises(TokenBoundRequiredError):
        _charge(limits, request_)


# What takes nothing

IDLE = [
    replace(UNBOUNDED, method="GET", model="", body_sha256=NO_BODY, endpoint="responses/resp_1"),
    replace(UNBOUNDED, method="HEAD", endpoint="models"),
    replace(UNBOUNDED, method="DELETE", endpoint="files/file-1"),
    replace(UNBOUNDED, method="OPTIONS"),
    replace(UNBOUNDED, model="", body_sha256=NO_BODY, endpoint="batches/batch_1/cancel"),
    replace(UNBOUNDED, model="", endpoint="files"),
    replace(UNBOUNDED, model="", endpoint="vector_stores/vs_1/file_batches"),
    replace(UNBOUNDED, model="", endpoint="uploads/upload_1/parts", body_sha256=b""),
    replace(UNBOUNDED, model="", endpoint="conversations"),
    replace(UNBOUNDED, model="", endpoint="containers"),
]


@pytest.mark.parametrize("request_", IDLE, ids=itertools.count())
@pytest.mark.parametrize("limits", [TOKENS, USD, BOTH], ids=["tokens", "USD", "both"])
def test_a_request_that_makes_nothing_takes_nothing_but_itself(
    limits: Limits, request_: LeaseRequest
) -> None:
    charge = _charge(limits, request_)

    assert (charge.amounts, charge.bound) == (Amounts(requests=1), Usage())


@pytest.mark.parametrize("endpoint", ["filesystem", "batches", "threads", "fine_tuning/jobs", ""])
def test_any_other_body_without_a_model_takes_what_nothing_bounds(endpoint: str) -> None:
    with pytest.raises(TokenBoundRequiredError):
        _charge(TOKENS, replace(UNBOUNDED, model="", endpoint=endpoint))


# USD


@pytest.mark.parametrize(
    ("request_", "micro_usd"),
    [
        (BOUNDED, 250 + 500),
        (replace(BOUNDED, input_token_bound=1, output_token_bound=0), 163_843),
        (replace(UNBOUNDED, input_token_bound=1_000_000, model="embedder"), 20_000),
        (replace(UNBOUNDED, model="painter"), 400_000),
        (replace(UNBOUNDED, model="painter", runs_tools=True), 400_000),
        (replace(UNBOUNDED, model="painter", method="WEBSOCKET"), 400_000),
        (replace(BOUNDED, more_models=("gpt-4o",)), 750),
        (replace(BOUNDED, more_models=("no-window",)), 750 + 150),
        (replace(BOUNDED, more_models=("painter",)), 750 + 400_000),
    ],
    ids=itertools.count(),
)
def test_the_most_that_a_request_costs_is_by_its_bounds_or_by_its_models_own_figure(
    request_: LeaseRequest, micro_usd: int
) -> None:
    charge = _charge(USD, request_)

    assert charge.amounts.micro_usd == micro_usd


@pytest.mark.parametrize(
    "request_",
    [
        replace(BOUNDED, model="unheard-of"),
        replace(BOUNDED, model=""),
        replace(BOUNDED, more_models=("unheard-of",)),
        replace(UNBOUNDED, model="painter", more_models=("unheard-of",)),
        replace(UNBOUNDED, model="painter", more_models=("unheard-of",), method="WEBSOCKET"),
    ],
    ids=itertools.count(),
)
def test_under_a_limit_in_usd_a_model_without_a_price_is_refused(request_: LeaseRequest) -> None:
    with pytest.raises(ModelPriceUnknownError):
        _charge(USD, request_)


@pytest.mark.parametrize(
    "request_",
    [
        replace(BOUNDED, runs_tools=True),
        replace(BOUNDED, method="WEBSOCKET"),
        replace(BOUNDED, output_token_bound=0, model="no-window"),
        replace(BOUNDED, model="whisper-1"),
        replace(UNBOUNDED, model="painter", more_models=("gpt-4o",), runs_tools=True),
        replace(UNBOUNDED, model="", body_sha256=b"", method="WEBSOCKET"),
        replace(UNBOUNDED, model="", body_sha256=NO_BODY, method="WEBSOCKET"),
        replace(UNBOUNDED, model="painter", more_models=("sculptor",), method="WEBSOCKET"),
    ],
    ids=itertools.count(),
)
def test_under_a_limit_in_usd_what_nothing_bounds_is_refused(request_: LeaseRequest) -> None:
    with pytest.raises(TokenBoundRequiredError):
        _charge(USD, request_)


def test_an_app_without_limits_uses_models_that_nobody_priced() -> None:
    assert _charge(Limits(), replace(UNBOUNDED, model="unheard-of")).amounts == Amounts()


# What was taken


def test_what_was_taken_is_what_the_list_says_and_never_less_than_it_cost() -> None:
    charging = Charging(PRICES)

    assert charging.amounts(Usage(1, 1, model="gpt-4o")) == Amounts(1, 2, 13)
    assert charging.amounts(Usage(1000, 0, 1000, model="gpt-4o")) == Amounts(1, 1000, 1250)
    assert charging.amounts(Usage(images=2, model="painter")) == Amounts(1, 0, 80_000)
    assert charging.amounts(Usage(1, 1, model="unheard-of")) is None


USD_PRICES = st.decimals(0, 1000, places=4)
MODEL_PRICES = st.builds(
    ModelPrice,
    USD_PRICES,
    st.none() | USD_PRICES,
    USD_PRICES,
    max_input_tokens=st.none() | st.integers(1, 2_000_000),
    max_output_tokens=st.none() | st.integers(0, 200_000),
)


@given(
    price=MODEL_PRICES,
    bounds=st.tuples(st.integers(0, 500_000), st.integers(0, 500_000)),
    answers=st.integers(1, 5),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_no_usage_within_the_bounds_takes_more_than_was_charged(
    price: ModelPrice,
    bounds: tuple[int, int],
    answers: int,
    shares: tuple[float, float, float],
) -> None:
    prices = PriceList(date(2026, 1, 1), {"m": price})
    prompt, answer = bounds
    request = replace(
        BOUNDED,
        model="m",
        input_token_bound=prompt,
        output_token_bound=answer,
        answer_count=answers,
    )
    most_prompt = prompt or price.max_input_tokens
    most_answer = answer or (
        None if price.max_output_tokens is None else price.max_output_tokens * answers
    )
    assume(most_prompt is not None and most_answer is not None)
    assert most_prompt is not None
    assert most_answer is not None
    taken = int(most_prompt * shares[0])
    usage = Usage(
        taken,
        int(most_answer * shares[1]),
        int(taken * shares[2]),
        model="m",
        source=UsageSource.REPORTED,
    )

    charged = _charge(BOTH, request, prices).amounts

    amounts = Charging(prices).amounts(usage)
    assert amounts is not None
    assert amounts.tokens <= charged.tokens
    assert amounts.micro_usd <= charged.micro_usd
