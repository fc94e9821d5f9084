"""When terms allow more than others: a narrowing must allow nothing new."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_address, ip_network
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyvault_svc.domain.grant import GrantTerms
from keyvault_svc.domain.limits import Limits
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import BILLING, SEARCH, make_terms

DAY = timedelta(days=1)
MODEL_ENTRIES = ["*", "gpt-4o", "gpt-4o-mini", "gpt-4o*", "gpt*", "o1"]
MODELS = ["", "gpt-4o", "gpt-4o-mini", "gpt-5", "o1", "o1-pro"]
ENDPOINT_ENTRIES = [
    *("*", "chat", "chat/completions", "files", "batches", "batches/batch_1", "threads"),
    *("realtime", "realtime/client_secrets", "realtime/sessions"),
]
ENDPOINTS = [
    *("chat", "chat/completions", "chat/completions/id", "files/file_1", "batches"),
    *("batches/batch_1", "batches/batch_2/cancel", "threads/thread_1/runs", "realtime"),
    *("realtime/client_secrets", "realtime/sessions", "realtime/sessions/id", "models"),
]
NETWORKS = [
    *("10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/9", "10.128.0.0/9", "10.1.2.3/32"),
    *("192.0.2.0/24", "2001:db8::/32", "2001:db8:1::/48", "0.0.0.0/0", "::/0"),
]
SOURCES = ["10.1.2.3", "10.200.0.1", "192.0.2.7", "203.0.113.9", "2001:db8:1::1", "2001:db9::1"]

limits = st.builds(
    Limits,
    requests_per_minute=st.none() | st.integers(1, 3),
    tokens_per_day=st.none() | st.integers(1, 3),
    usd_per_month=st.none() | st.sampled_from([Decimal("0.5"), Decimal(1), Decimal("1.000001")]),
)
terms = st.builds(
    GrantTerms,
    app=st.just(BILLING),
    models=st.lists(st.sampled_from(MODEL_ENTRIES), min_size=1, max_size=3).map(tuple),
    endpoints=st.lists(st.sampled_from(ENDPOINT_ENTRIES), min_size=1, max_size=3).map(tuple),
    source_cidrs=st.lists(st.sampled_from(NETWORKS).map(ip_network), max_size=3).map(tuple),
    expire_time=st.none() | st.integers(1, 3).map(lambda days: START + days * DAY),
    may_choose_account=st.booleans(),
    limits=limits,
    needs_owner_presence=st.booleans(),
    needs_app_proof=st.booleans(),
)


@given(old=terms, new=terms, takes_what_it_has=st.booleans())
def test_what_a_narrowing_allows_was_allowed_before(
    old: GrantTerms, new: GrantTerms, *, takes_what_it_has: bool
) -> None:
    if takes_what_it_has:  # else few pairs would be narrowings
        new = replace(
            old, models=new.models, endpoints=new.endpoints, source_cidrs=new.source_cidrs
        )
    if new.widens(old):
        return

    for endpoint, model in product(ENDPOINTS, MODELS):
        if new.allow_endpoint(endpoint) and new.allow_model(model, endpoint):
            assert old.allow_endpoint(endpoint)
            assert old.allow_model(model, endpoint)
    for source in map(ip_address, SOURCES):
        assert old.allow_source(source) or not new.allow_source(source)
    assert old.expire_time is None or (new.expire_time and new.expire_time <= old.expire_time)
    assert old.may_choose_account or not new.may_choose_account
    assert new.limits.are_within(old.limits)
    assert new.needs_owner_presence or not old.needs_owner_presence
    assert new.needs_app_proof or not old.needs_app_proof


@given(terms=terms)
def test_terms_do_not_widen_themselves(terms: GrantTerms) -> None:
    assert not terms.widens(terms)


WIDE = make_terms()
NARROWER: dict[str, object] = {
    "models": ("gpt-4o*",),
    "endpoints": ("chat",),
    "source_cidrs": (ip_network("10.0.0.0/8"),),
    "expire_time": START,
    "limits": Limits(concurrent_calls=1),
    "needs_owner_presence": True,
    "needs_app_proof": True,
}
WIDER: dict[str, object] = {"may_choose_account": True}


def test_every_term_but_the_app_has_a_narrower_and_a_wider_form_here() -> None:
    names = {field.name for field in fields(GrantTerms)} - {"app"}

    assert names == NARROWER.keys() | WIDER.keys()


@pytest.mark.parametrize("name", [*NARROWER, *WIDER])
def test_each_term_widens_by_itself(name: str) -> None:
    changed = replace(WIDE, **{name: {**NARROWER, **WIDER}[name]})  # type: ignore[arg-type]  # a field's name chosen at run time
    narrow, wide = (changed, WIDE) if name in NARROWER else (WIDE, changed)

    assert wide.widens(narrow)
    assert not narrow.widens(wide)


def test_another_app_is_always_more_than_before() -> None:
    assert make_terms(SEARCH).widens(make_terms(BILLING))


@pytest.mark.parametrize(
    ("old", "new", "widens"),
    [
        (("gpt*",), ("gpt-4o*", "gpt-5"), False),
        (("gpt-4o",), ("gpt-4o*",), True),
        (("gpt-4o*",), ("gpt*",), True),
        (("gpt-4o", "o1"), ("o1",), False),
        (("gpt-4o",), ("o1",), True),
        (("gpt*",), ("*",), True),
    ],
)
def test_models_widen_where_an_entry_covers_a_new_one(
    old: tuple[str, ...], new: tuple[str, ...], *, widens: bool
) -> None:
    assert make_terms(models=new).widens(make_terms(models=old)) is widens


@pytest.mark.parametrize(
    ("old", "new", "widens"),
    [
        (("chat",), ("chat/completions",), False),
        (("chat/completions",), ("chat",), True),
        (("*",), ("chat", "batches"), False),
        (("chat",), ("*",), True),
        (("*",), ("realtime/sessions",), True),
        (("realtime",), ("realtime/sessions",), True),
        (("realtime/sessions",), ("realtime/sessions/id",), False),
    ],
)
def test_endpoints_widen_where_an_entry_covers_a_new_one(
    old: tuple[str, ...], new: tuple[str, ...], *, widens: bool
) -> None:
    assert make_terms(endpoints=new).widens(make_terms(endpoints=old)) is widens


def test_to_name_an_endpoint_that_runs_unseen_models_widens_what_limits_models() -> None:
    everywhere = make_terms(models=("gpt-4o",), endpoints=("*",))

    assert make_terms(models=("gpt-4o",), endpoints=("batches",)).widens(everywhere)
    assert not make_terms(models=("gpt-4o",), endpoints=("files",)).widens(everywhere)


@pytest.mark.parametrize(
    ("old", "new", "widens"),
    [
        (("10.0.0.0/9", "10.128.0.0/9"), ("10.0.0.0/8",), False),
        (("10.0.0.0/8",), ("10.1.0.0/16", "10.2.0.0/16"), False),
        (("10.1.0.0/16",), ("10.0.0.0/8",), True),
        (("10.0.0.0/8",), (), True),
        (("0.0.0.0/0",), ("::/0",), True),
        ((), ("0.0.0.0/0",), False),
    ],
)
def test_networks_widen_where_they_reach_beyond_all_of_before(
    old: tuple[str, ...], new: tuple[str, ...], *, widens: bool
) -> None:
    assert make_terms(source_cidrs=new).widens(make_terms(source_cidrs=old)) is widens
