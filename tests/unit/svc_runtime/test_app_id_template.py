from __future__ import annotations

import pytest

from svc_runtime.app_id_template import AppIdTemplate

CLAIM = frozenset({"claim"})
ACCOUNT = frozenset({"namespace", "name"})
OF_CLAIM = AppIdTemplate.parse("spiffe://example.org/app/{claim}", CLAIM)
OF_ACCOUNT = AppIdTemplate.parse("spiffe://example.org/ns/{namespace}/sa/{name}", ACCOUNT)


def test_values_become_path_segments() -> None:
    values = {"namespace": "payments", "name": "billing.v2"}

    assert OF_ACCOUNT.fill(values) == "spiffe://example.org/ns/payments/sa/billing.v2"
    assert OF_ACCOUNT.values_of(OF_ACCOUNT.fill(values)) == values


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "a/b", "/", "a%2Fb", "%41", "a b", "a|b", "ä", "é", "a\n", "{claim}", "a:b"],
)
def test_a_value_that_would_need_escaping_is_refused_as_it_is(value: str) -> None:
    with pytest.raises(ValueError, match="no path segment"):
        OF_CLAIM.fill({"claim": value})


@pytest.mark.parametrize(
    ("template", "fields"),
    [
        ("spiffe://example.org/app/{claim}", ACCOUNT),
        ("spiffe://example.org/app/billing", CLAIM),
        ("spiffe://example.org/app/{claim}/{claim}", CLAIM),
        ("spiffe://example.org/app/x-{claim}", CLAIM),
        ("spiffe://example.org/{namespace}{name}", ACCOUNT),
        ("spiffe://example.org/{namespace}-{name}", ACCOUNT),
        ("spiffe://example.org/{namespace}/sa", ACCOUNT),
        ("spiffe://example.org/{namespace}/{name}/{uid}", ACCOUNT),
        ("spiffe://example.org/{claim.__class__}", CLAIM),
    ],
)
def test_a_template_names_each_field_once_as_a_segment(
    template: str, fields: frozenset[str]
) -> None:
    with pytest.raises(ValueError, match="must name each of"):
        AppIdTemplate.parse(template, fields)


@pytest.mark.parametrize(
    "template",
    [
        "{claim}",
        "/app/{claim}",
        "https://example.org/app/{claim}",
        "spiffe://{claim}/app",
        "spiffe://{claim}",
        "spiffe://example.org//{claim}",
        "spiffe://example.org/../{claim}",
        "spiffe://example.org/{claim}/",
        "spiffe://example.org/a b/{claim}",
        "spiffe://example.org/{}/{claim}",
        "spiffe://Example.org/{claim}",
    ],
)
def test_a_template_is_a_spiffe_id_in_a_fixed_trust_domain(template: str) -> None:
    with pytest.raises(ValueError, match="SPIFFE"):
        AppIdTemplate.parse(template, CLAIM)


def test_the_prefix_ends_where_the_first_field_begins() -> None:
    assert OF_CLAIM.prefix == "spiffe://example.org/app/"
    assert OF_ACCOUNT.prefix == "spiffe://example.org/ns/"


@pytest.mark.parametrize(
    "app",
    [
        "spiffe://example.org/ns/payments",
        "spiffe://example.org/ns/payments/sa/billing/more",
        "spiffe://example.org/ns/payments/xx/billing",
        "spiffe://example.com/ns/payments/sa/billing",
    ],
)
def test_an_id_of_another_shape_has_no_values(app: str) -> None:
    assert OF_ACCOUNT.values_of(app) is None
