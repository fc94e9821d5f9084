"""Each pod logs in to Vault as what bootstrap made for its service account, and as nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.chart_engines import COMBINATIONS, NAMESPACE, combination_values
from tests.chart.releases import Release, Workload

# Which table of the settings each component logs in by, and as whom.
_TABLES = {
    "keyvault-svc": "vault",
    "gateway-svc": "vault",
    "reconcile": "vault",
    "rewrap": "maintenance",
    "remind": "maintenance",
}
_IDENTITIES = {
    "keyvault-svc": "key service",
    "gateway-svc": "gateway",
    "reconcile": "gateway",
    "rewrap": "maintenance",
    "remind": "maintenance",
}
_METHODS = {"kubernetes", "jwt"}
_WITH_BOOTSTRAP = [
    name
    for name in COMBINATIONS
    if combination_values(name).get("bootstrap", {}).get("enabled", True)
]


def _login(release: Release, workload: Workload) -> tuple[str, dict[str, Any]]:
    """Return the method by which *workload* logs in, and its settings."""
    table = release.settings(workload)[_TABLES[workload.component]]
    [method] = _METHODS & table.keys()
    return method, table[method]


def _logged_in(release: Release) -> list[Workload]:
    return [w for w in release.workloads if w.component in _TABLES]


@pytest.fixture(params=_WITH_BOOTSTRAP)
def prepared(request: pytest.FixtureRequest, releases: dict[str, Release]) -> Release:
    """Each combination that has bootstrap run."""
    return releases[request.param]


@pytest.fixture
def bootstrap(prepared: Release) -> dict[str, Any]:
    """What bootstrap is told to make."""
    return dict(prepared.settings(prepared.workload("bootstrap"))["bootstrap"])


def test_each_identity_logs_in_to_one_role_that_no_other_logs_in_to(release: Release) -> None:
    roles = {(_IDENTITIES[w.component], _login(release, w)[1]["role"]) for w in _logged_in(release)}
    identities = {_IDENTITIES[w.component] for w in _logged_in(release)}

    assert len(roles) == len(identities) == len({role for _, role in roles})


def test_bootstrap_binds_each_role_to_the_account_that_logs_in_to_it(
    prepared: Release, bootstrap: dict[str, Any]
) -> None:
    subjects = (
        bootstrap["kubernetes"]["service_accounts"]
        if bootstrap["login"] == "kubernetes"
        else {
            role: "/".join(subject.split(":")[-2:])
            for role, subject in bootstrap["jwt"]["subjects"].items()
        }
    )
    used = {
        _login(prepared, w)[1]["role"]: f"{NAMESPACE}/{w.pod['serviceAccountName']}"
        for w in _logged_in(prepared)
    }

    assert {role: subjects.get(role) for role in used} == used


def test_bootstrap_makes_the_method_that_the_pods_use(
    prepared: Release, bootstrap: dict[str, Any]
) -> None:
    assert {_login(prepared, w)[0] for w in _logged_in(prepared)} == {bootstrap["login"]}


def test_the_token_is_meant_for_what_bootstrap_demands(
    prepared: Release, bootstrap: dict[str, Any]
) -> None:
    demanded = (
        {bootstrap["kubernetes"]["audience"]}
        if bootstrap["login"] == "kubernetes"
        else set(bootstrap["jwt"]["audiences"])
    )
    audiences = {
        source["serviceAccountToken"]["audience"]
        for workload in prepared.workloads
        for volume in workload.pod.get("volumes", ())
        for source in volume.get("projected", {}).get("sources", ())
        if "serviceAccountToken" in source
    }

    assert audiences == demanded


def test_every_account_is_made_by_the_release(release: Release) -> None:
    made = {item["metadata"]["name"] for item in release.of_kind("ServiceAccount")}

    assert {w.pod["serviceAccountName"] for w in release.workloads} <= made


def test_bootstrap_logs_in_as_itself(prepared: Release, bootstrap: dict[str, Any]) -> None:
    workload = prepared.workload("bootstrap")
    login = prepared.settings(workload)["bootstrap_login"]
    roles = {_login(prepared, w)[1]["role"] for w in _logged_in(prepared)}
    accounts = {w.pod["serviceAccountName"] for w in _logged_in(prepared)}

    assert login[bootstrap["login"]]["role"] not in roles
    assert workload.pod["serviceAccountName"] not in accounts


def test_the_certificates_issuers_sign_by_the_role_of_their_service(release: Release) -> None:
    paths = {
        certificate["spec"]["uris"][0].rpartition("/")[2]: issuer["spec"]["vault"]["path"]
        for certificate in release.of_kind("Certificate")
        for issuer in release.of_kind("Issuer")
        if certificate["spec"]["issuerRef"]["name"] == issuer["metadata"]["name"]
    }

    assert paths == {service: f"keyturn-pki/sign/{service}" for service in paths}
