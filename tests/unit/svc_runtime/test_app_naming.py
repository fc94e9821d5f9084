from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc_runtime.app_naming import AppNaming, NoAppError, covers, overlap
from svc_runtime.app_naming_settings import AppNamingSettings

BILLING = "spiffe://example.org/app/billing"
SPIFFE = AppNamingSettings(trust_domain="example.org").naming()
KUBERNETES = AppNamingSettings(kind="kubernetes", trust_domain="example.org").naming()
OIDC = AppNamingSettings(kind="oidc", app_id_template="spiffe://example.org/app/{claim}").naming()
BY_TABLE = AppNamingSettings(kind="oidc", app_claim="azp", apps={"auth0|4711": BILLING}).naming()
BY_BOTH = AppNamingSettings(
    kind="kubernetes",
    app_id_template="spiffe://example.org/k8s/{namespace}/{name}",
    apps={"system:serviceaccount:payments:billing": BILLING},
).naming()

ACCOUNT = "system:serviceaccount:payments:billing"
PRIVATE = {
    "namespace": "payments",
    "node": {"name": "node-1"},
    "pod": {"name": "billing-1", "uid": "7"},
    "serviceaccount": {"name": "billing", "uid": "8"},
}


@pytest.mark.parametrize(
    ("naming", "claims", "app"),
    [
        (SPIFFE, {"sub": BILLING}, BILLING),
        (AppNaming(claim="workload"), {"sub": "x", "workload": BILLING}, BILLING),
        (KUBERNETES, {"sub": ACCOUNT}, "spiffe://example.org/ns/payments/sa/billing"),
        (
            KUBERNETES,
            {"sub": ACCOUNT, "kubernetes.io": PRIVATE},
            "spiffe://example.org/ns/payments/sa/billing",
        ),
        (
            KUBERNETES,
            {"sub": "system:serviceaccount:payments:billing.v2-eu"},
            "spiffe://example.org/ns/payments/sa/billing.v2-eu",
        ),
        (BY_BOTH, {"sub": ACCOUNT}, BILLING),
        (
            BY_BOTH,
            {"sub": "system:serviceaccount:payments:search"},
            "spiffe://example.org/k8s/payments/search",
        ),
        (OIDC, {"sub": "x", "client_id": "billing"}, BILLING),
        (OIDC, {"sub": "x", "client_id": "billing", "azp": "billing"}, BILLING),
        (OIDC, {"client_id": "billing", "auth_time": 0, "acr": "1"}, BILLING),
        (BY_TABLE, {"azp": "auth0|4711", "sub": "x"}, BILLING),
    ],
)
def test_verified_claims_name_an_app(
    naming: AppNaming, claims: Mapping[str, object], app: str
) -> None:
    assert str(naming.app_of(claims)) == app


def _refused(naming: AppNaming, claims: Mapping[str, object]) -> str:
    with pytest.raises(NoAppError) as caught:
        naming.app_of(claims)
    return str(caught.value)


@pytest.mark.parametrize("naming", [SPIFFE, KUBERNETES, OIDC, BY_TABLE])
@pytest.mark.parametrize("subject", [None, 7, True, [BILLING], {"a": 1}])
def test_a_token_without_a_subject_names_no_app(naming: AppNaming, subject: object) -> None:
    assert _refused(naming, {naming.claim: subject}) == "no subject"
    assert _refused(naming, {}) == "no subject"


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "billing",
        "spiffe://example.org",
        "spiffe://example.org/app/../svc",
        "spiffe://example.org/app/%62illing",
        "spiffe://example.org/app/billing?x=1",
        "spiffe://Example.org/app/billing",
        "SPIFFE://example.org/app/billing",
        "spiffe://example.org/app/billing\n",
        "spiffe://example.org/app/b\u0131lling",
    ],
)
def test_a_jwt_svid_without_a_spiffe_id_names_no_app(subject: str) -> None:
    assert _refused(SPIFFE, {"sub": subject}) == "no SPIFFE ID"


@pytest.mark.parametrize(
    "subject",
    [
        BILLING,
        "spiffe://example.org/ns/payments/sa/billing",
        "payments:billing",
        "system:serviceaccount:payments",
        "system:serviceaccount:payments:",
        "system:serviceaccount::billing",
        "system:serviceaccount:payments:billing:more",
        "system:serviceaccount:payments:billing\n",
        "system:serviceaccount:pay/ments:billing",
        "system:serviceaccount:payments:..",
        "system:serviceaccount:payments:a..b",
        "system:serviceaccount:payments.eu:billing",
        "system:serviceaccount:Payments:billing",
        "system:serviceaccount:payments:bill%69ng",
        "system:serviceaccount:payments:b\u0131lling",
        "system:serviceaccount:-payments:billing",
        f"system:serviceaccount:{'n' * 64}:billing",
        f"system:serviceaccount:payments:{'.'.join(['n' * 60] * 5)}",
        "system:node:node-1",
        "system:serviceaccounts:payments:billing",
    ],
)
def test_what_is_no_service_account_names_no_app(subject: str) -> None:
    assert _refused(KUBERNETES, {"sub": subject}) == "no service account"


@pytest.mark.parametrize(
    "private",
    [
        None,
        {},
        [],
        "payments",
        {**PRIVATE, "namespace": "search"},
        {**PRIVATE, "namespace": None},
        {**PRIVATE, "serviceaccount": {"name": "search"}},
        {**PRIVATE, "serviceaccount": {}},
        {**PRIVATE, "serviceaccount": "billing"},
        {"namespace": "payments"},
    ],
)
def test_a_service_account_must_be_the_same_in_both_claims(private: object) -> None:
    claims = {"sub": ACCOUNT, "kubernetes.io": private}

    assert _refused(KUBERNETES, claims) == "another service account in kubernetes.io"


@pytest.mark.parametrize(
    "client", ["", ".", "..", "a/b", "auth0|4711", "a%2fb", "a b", "b\u0131lling", "me@clients"]
)
def test_a_client_that_is_no_path_segment_names_no_app(client: str) -> None:
    assert _refused(OIDC, {"client_id": client}) == "no SPIFFE ID"


def test_a_client_that_is_not_in_the_table_names_no_app() -> None:
    assert _refused(BY_TABLE, {"azp": "auth0|4712"}) == "not in the table of apps"
    assert _refused(BY_TABLE, {"azp": BILLING}) == "not in the table of apps"


@pytest.mark.parametrize(
    "more", [{"nonce": "n"}, {"auth_time": 1_700_000_000}, {"at_hash": "x"}, {"c_hash": "x"}]
)
def test_the_token_of_a_person_who_uses_a_client_does_not_prove_the_client(
    more: Mapping[str, object],
) -> None:
    assert _refused(OIDC, {"client_id": "billing", **more}) == "a person's token"


def test_a_token_of_two_clients_proves_neither() -> None:
    assert _refused(OIDC, {"client_id": "billing", "azp": "search"}) == "two clients"


@pytest.mark.parametrize(
    "app",
    [
        "spiffe://other.org/app/billing",
        "spiffe://example.org.evil/app/billing",
        "spiffe://example.orgapp/billing",
    ],
)
def test_an_issuer_does_not_name_apps_of_other_trust_domains(app: str) -> None:
    assert _refused(SPIFFE, {"sub": app}) == "an app of somebody else"


def test_an_issuer_names_apps_below_its_prefixes_only() -> None:
    naming = AppNamingSettings(
        kind="kubernetes",
        trust_domain="example.org",
        app_id_prefixes=("spiffe://example.org/ns/payments/", "spiffe://example.org/ns/search/"),
    ).naming()
    apps = [str(naming.app_of({"sub": f"system:serviceaccount:{n}:x"})) for n in ("payments",)]

    assert apps == ["spiffe://example.org/ns/payments/sa/x"]
    for namespace in ("payment", "payments2", "kube-system"):
        claims = {"sub": f"system:serviceaccount:{namespace}:x"}
        assert _refused(naming, claims) == "an app of somebody else"


@pytest.mark.parametrize(
    ("said", "is_good"),
    [
        ({"idtyp": "app", "tid": "t"}, True),
        ({"idtyp": "app", "tid": "t", "more": 1}, True),
        ({"idtyp": "user", "tid": "t"}, False),
        ({"idtyp": ["app"], "tid": "t"}, False),
        ({"idtyp": "app"}, False),
        ({}, False),
    ],
)
def test_required_claims_are_all_required(said: Mapping[str, object], *, is_good: bool) -> None:
    naming = AppNaming(required_claims={"idtyp": "app", "tid": "t"})
    claims = {"sub": BILLING, **said}
    if is_good:
        assert str(naming.app_of(claims)) == BILLING
    else:
        assert _refused(naming, claims) == "a required claim"


@pytest.mark.parametrize("audience", ["keyturn", ["keyturn"]])
def test_one_audience_is_single_however_it_is_written(audience: object) -> None:
    naming = AppNaming(is_single_audience=True)

    assert str(naming.app_of({"sub": BILLING, "aud": audience})) == BILLING


@pytest.mark.parametrize("audience", [["keyturn", "vault"], ["keyturn", "keyturn"], [], None])
def test_further_audiences_are_refused_where_the_operator_says_so(audience: object) -> None:
    claims = {"sub": BILLING, "aud": audience}

    assert _refused(AppNaming(is_single_audience=True), claims) == "further audiences"
    assert str(AppNaming().app_of(claims)) == BILLING


@given(st.text(), st.text())
def test_different_clients_are_never_the_same_app(one: str, other: str) -> None:
    apps = []
    for client in (one, other):
        try:
            apps.append(str(OIDC.app_of({"client_id": client})))
        except NoAppError:
            apps.append(client)  # it names none

    assert (apps[0] == apps[1]) == (one == other)
    assert all(app.startswith("spiffe://example.org/app/") or app in (one, other) for app in apps)


@pytest.mark.parametrize(
    ("scope", "app", "is_covered"),
    [
        ("spiffe://a/app/", "spiffe://a/app/x", True),
        ("spiffe://a/app/", "spiffe://a/app/x/y", True),
        ("spiffe://a/app/", "spiffe://a/app", False),
        ("spiffe://a/app/", "spiffe://a/apps/x", False),
        ("spiffe://a/app/x", "spiffe://a/app/x", True),
        ("spiffe://a/app/x", "spiffe://a/app/x/y", False),
        ("spiffe://a/app/x", "spiffe://a/app/xy", False),
    ],
)
def test_a_scope_covers_itself_or_what_is_below_its_slash(
    scope: str, app: str, *, is_covered: bool
) -> None:
    assert covers(scope, app) is is_covered
    assert overlap([scope], [app]) is is_covered
    assert overlap([app], ["spiffe://b/", scope]) is is_covered
