from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.grant import GrantTerms
from keyvault_svc.domain.limits import Limits
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import make_grant, make_terms

DAY = timedelta(days=1)
MONTH = Ceilings(max_lifetime=30 * DAY)


def _refusal(ceilings: Ceilings, terms: GrantTerms) -> InvalidFieldError:
    with pytest.raises(InvalidFieldError) as caught:
        ceilings.check(terms, START)
    return caught.value


def test_without_ceilings_everything_may_be_granted() -> None:
    terms = make_terms(endpoints=("*", "realtime/client_secrets", "batches"))

    Ceilings().check(terms, START)

    assert Ceilings().bounded(make_grant(1, terms)) == make_grant(1, terms)
    assert Ceilings().around(terms).allow_endpoint("realtime/client_secrets")
    assert Ceilings().around(terms).allow_model("", "batches")


@pytest.mark.parametrize("expire_time", [None, START + 31 * DAY])
def test_a_grant_that_lasts_too_long_is_told_what_to_write(expire_time: datetime | None) -> None:
    refusal = _refusal(MONTH, make_terms(expire_time=expire_time))

    assert refusal.field == "grant.expire_time"
    assert "write 30d, or less" in refusal.rule


@pytest.mark.parametrize("expire_time", [START + DAY, START + 30 * DAY + timedelta(seconds=60)])
def test_a_grant_may_last_as_long_as_the_ceiling_by_a_clock_that_is_ahead(
    expire_time: datetime,
) -> None:
    MONTH.check(make_terms(expire_time=expire_time), START)


@pytest.mark.parametrize("models", [("*",), ("gpt-4o", "o1"), ("gpt*",)])
def test_models_beyond_the_ceiling_are_refused_by_its_entries(models: tuple[str, ...]) -> None:
    refusal = _refusal(Ceilings(models=("gpt-4o*", "gpt-5")), make_terms(models=models))

    assert refusal.field == "grant.models"
    assert "gpt-4o*, gpt-5" in refusal.rule


def test_models_within_the_ceiling_may_be_granted() -> None:
    Ceilings(models=("gpt-4o*",)).check(make_terms(models=("gpt-4o", "gpt-4o-mini*")), START)


@pytest.mark.parametrize("endpoints", [("*",), ("files",), ("chat/completions", "embeddings")])
def test_endpoints_beyond_the_ceiling_are_refused(endpoints: tuple[str, ...]) -> None:
    ceilings = Ceilings(endpoints=("chat", "models"))

    assert _refusal(ceilings, make_terms(endpoints=endpoints)).field == "grant.endpoints"
    ceilings.check(make_terms(endpoints=("chat/completions",)), START)


def test_a_ceiling_of_models_leaves_no_endpoint_that_runs_unseen_ones_unless_it_names_it() -> None:
    terms = make_terms(models=("gpt-4o",), endpoints=("chat", "batches"))
    by_models = Ceilings(models=("gpt-4o",))
    with_batches = replace(by_models, endpoints=("*", "batches"))

    assert _refusal(by_models, terms).field == "grant.endpoints"
    assert not by_models.around(terms).allow_model("", "batches")
    with_batches.check(terms, START)
    assert with_batches.around(terms).allow_model("", "batches")


@pytest.mark.parametrize("usd", [None, Decimal("50.01")])
def test_a_limit_under_a_ceiling_must_be_set_and_no_higher(usd: Decimal | None) -> None:
    ceilings = Ceilings(limits=Limits(usd_per_month=Decimal(50)))
    terms = replace(make_terms(), limits=Limits(usd_per_month=usd))

    refusal = _refusal(ceilings, terms)

    assert refusal.field == "grant.limits.usd_per_month"
    assert "50 at most" in refusal.rule
    ceilings.check(replace(terms, limits=Limits(usd_per_month=Decimal(50))), START)


@pytest.mark.parametrize(
    ("expire_time", "bounded"),
    [
        (None, make_grant(1).create_time + 30 * DAY),
        (START + DAY, START + DAY),
        (START + 60 * DAY, make_grant(1).create_time + 30 * DAY),
    ],
)
def test_a_grant_from_before_ends_when_the_ceiling_says_counted_from_when_it_was_made(
    expire_time: datetime | None, bounded: datetime
) -> None:
    grant = make_grant(1, make_terms(expire_time=expire_time))

    assert MONTH.bounded(grant).terms.expire_time == bounded


def test_a_grant_from_before_has_no_higher_limits_than_the_ceilings() -> None:
    ceilings = Ceilings(limits=Limits(usd_per_month=Decimal(50), tokens_per_day=1_000))
    own = Limits(usd_per_month=Decimal(20), tokens_per_day=5_000, concurrent_calls=3)

    bounded = ceilings.bounded(make_grant(1, replace(make_terms(), limits=own)))

    assert bounded.terms.limits == Limits(
        usd_per_month=Decimal(20), tokens_per_day=1_000, concurrent_calls=3
    )


def test_a_grant_from_before_allows_no_more_models_than_the_ceiling() -> None:
    around = Ceilings(models=("gpt-4o*",)).around(make_terms())

    assert around.allow_model("gpt-4o-mini", "chat/completions")
    assert not around.allow_model("o1", "chat/completions")
    assert not around.allow_model("", "responses")
