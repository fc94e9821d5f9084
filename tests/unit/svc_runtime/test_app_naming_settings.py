from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from svc_runtime.app_naming_settings import AppNamingSettings, must_not_share_apps

TEMPLATE = "spiffe://example.org/app/{claim}"
PREFIX = "spiffe://example.org/app/"
K8S_TEMPLATE = "spiffe://example.org/app/{namespace}/{name}"
ACCOUNT = "system:serviceaccount:payments:billing"


def _settings(**settings: Any) -> AppNamingSettings:  # noqa: ANN401 - as a file may have them
    return AppNamingSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "scopes"),
    [
        ({}, None),
        ({"app_id_prefixes": [PREFIX]}, (PREFIX,)),
        ({"trust_domain": "example.org"}, ("spiffe://example.org/",)),
        ({"trust_domain": "example.org", "app_id_prefixes": [PREFIX]}, (PREFIX,)),
        ({"kind": "kubernetes", "trust_domain": "example.org"}, ("spiffe://example.org/ns/",)),
        ({"kind": "kubernetes", "app_id_template": K8S_TEMPLATE}, (PREFIX,)),
        ({"kind": "oidc", "app_id_template": TEMPLATE}, (PREFIX,)),
        ({"kind": "oidc", "apps": {"a": f"{PREFIX}a"}}, (f"{PREFIX}a",)),
        (
            {"kind": "oidc", "app_id_template": TEMPLATE, "apps": {"a": "spiffe://b/x"}},
            (PREFIX, "spiffe://b/x"),
        ),
    ],
)
def test_an_issuer_may_name_what_its_settings_can_make(
    settings: dict[str, Any], scopes: tuple[str, ...] | None
) -> None:
    assert _settings(**settings).naming().scopes == scopes


@pytest.mark.parametrize(
    ("settings", "claim"),
    [
        ({}, "sub"),
        ({"app_claim": "workload"}, "workload"),
        ({"kind": "kubernetes", "trust_domain": "example.org"}, "sub"),
        ({"kind": "oidc", "app_id_template": TEMPLATE}, "client_id"),
        ({"kind": "oidc", "app_id_template": TEMPLATE, "app_claim": "azp"}, "azp"),
    ],
)
def test_each_kind_has_its_subject_in_its_claim(settings: dict[str, Any], claim: str) -> None:
    assert _settings(**settings).naming().claim == claim


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"kind": "saml"}, "kind"),
        ({"app_claim": ""}, "app_claim"),
        ({"app_id_template": TEMPLATE}, "app_id_template"),
        ({"apps": {"a": f"{PREFIX}a"}}, "apps"),
        ({"trust_domain": "Example.org"}, "trust_domain"),
        ({"trust_domain": "example.org/app"}, "trust_domain"),
        ({"trust_domain": "spiffe://example.org"}, "trust_domain"),
        ({"trust_domain": ""}, "trust_domain"),
        ({"app_id_prefixes": ["spiffe://example.org/app"]}, "app_id_prefixes"),
        ({"app_id_prefixes": ["spiffe://"]}, "app_id_prefixes"),
        ({"app_id_prefixes": ["/"]}, "app_id_prefixes"),
        ({"app_id_prefixes": [""]}, "app_id_prefixes"),
        ({"trust_domain": "a", "app_id_prefixes": ["spiffe://b/"]}, "app_id_prefixes"),
        ({"kind": "kubernetes"}, "trust_domain or app_id_template"),
        (
            {"kind": "kubernetes", "trust_domain": "a", "app_id_template": K8S_TEMPLATE},
            "trust_domain or app_id_template",
        ),
        ({"kind": "kubernetes", "trust_domain": "a", "app_claim": "x"}, "app_claim"),
        ({"kind": "kubernetes", "trust_domain": "A"}, "trust_domain"),
        ({"kind": "kubernetes", "trust_domain": "a/b"}, "trust_domain"),
        ({"kind": "kubernetes", "trust_domain": "{name}"}, "trust_domain"),
        ({"kind": "kubernetes", "app_id_template": TEMPLATE}, "app_id_template"),
        (
            {
                "kind": "kubernetes",
                "trust_domain": "a",
                "apps": {"payments/billing": "spiffe://a/b"},
            },
            "apps",
        ),
        ({"kind": "oidc"}, "app_id_template, apps or both"),
        ({"kind": "oidc", "app_id_template": TEMPLATE, "trust_domain": "a"}, "trust_domain"),
        ({"kind": "oidc", "app_id_template": K8S_TEMPLATE}, "app_id_template"),
        ({"kind": "oidc", "apps": {"a": "billing"}}, "apps"),
        (
            {"kind": "oidc", "apps": {"a": "spiffe://a/b"}, "app_id_prefixes": [PREFIX]},
            "app_id_prefixes",
        ),
        (
            {
                "kind": "oidc",
                "app_id_template": TEMPLATE,
                "apps": {"a": "spiffe://a/b"},
                "app_id_prefixes": [PREFIX],
            },
            "app_id_prefixes",
        ),
        (
            {"kind": "oidc", "app_id_template": TEMPLATE, "apps": {"4711": f"{PREFIX}billing"}},
            "to another subject",
        ),
        (
            {
                "kind": "kubernetes",
                "app_id_template": K8S_TEMPLATE,
                "apps": {ACCOUNT: f"{PREFIX}payments/search"},
            },
            "to another subject",
        ),
        ({"kind": "oidc", "app_id_template": TEMPLATE, "required_claims": {"a": 1}}, "required"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_by_name(
    settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValidationError, match=named):
        _settings(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "oidc", "app_id_template": TEMPLATE, "apps": {"billing": f"{PREFIX}billing"}},
        {"kind": "oidc", "app_id_template": TEMPLATE, "apps": {"a": f"{PREFIX}team/a"}},
        {"kind": "oidc", "apps": {"a": f"{PREFIX}x", "b": f"{PREFIX}x"}},
        {
            "kind": "kubernetes",
            "app_id_template": K8S_TEMPLATE,
            "apps": {ACCOUNT: f"{PREFIX}billing"},
        },
    ],
)
def test_a_table_whose_apps_nobody_else_can_become_is_good(settings: dict[str, Any]) -> None:
    assert _settings(**settings).naming().apps


SPIRE = _settings(trust_domain="example.org")
ELSEWHERE = _settings(trust_domain="example.com")
CLUSTER = _settings(kind="kubernetes", trust_domain="example.org")
CLIENTS = _settings(kind="oidc", app_id_template=TEMPLATE)
EXPLICIT = _settings(app_id_prefixes=[PREFIX])
EXPLICIT_CLIENTS = _settings(kind="oidc", app_id_template=TEMPLATE, app_id_prefixes=[PREFIX])


@pytest.mark.parametrize(
    "issuers",
    [
        (),
        (_settings(),),
        (SPIRE, ELSEWHERE),
        (CLUSTER, CLIENTS, ELSEWHERE),
        (EXPLICIT, EXPLICIT_CLIENTS),
        (EXPLICIT, CLUSTER),
    ],
)
def test_issuers_with_apps_of_their_own_go_together(
    issuers: tuple[AppNamingSettings, ...],
) -> None:
    must_not_share_apps(issuers)

    assert len({issuer.naming().scopes for issuer in issuers}) <= max(len(issuers), 1)


@pytest.mark.parametrize(
    "issuers",
    [
        (SPIRE, CLUSTER),
        (CLUSTER, SPIRE),
        (SPIRE, SPIRE),
        (EXPLICIT, CLIENTS),
        (CLIENTS, CLUSTER, EXPLICIT),
        (_settings(kind="oidc", apps={"a": f"{PREFIX}a"}), CLIENTS),
        (_settings(), CLUSTER),
        (ELSEWHERE, _settings()),
    ],
)
def test_issuers_that_could_name_each_others_apps_do_not_go_together(
    issuers: tuple[AppNamingSettings, ...],
) -> None:
    with pytest.raises(ValueError, match="issuers"):
        must_not_share_apps(issuers)
