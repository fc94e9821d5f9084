"""The four ways to log in that a bootstrap sets up: again, and after drift."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap import (
    BootstrapError,
    BootstrapOptions,
    StepOutcome,
    run_bootstrap,
)
from keyvault_svc.vault.bootstrap.login_options import LOGINS, JWTLogins, LoginOptions
from tests.certs import Authority
from tests.integration.keyvault_svc.login_choices import (
    FOREIGN_KEY,
    ROLES,
    SUBJECTS,
    public_pem,
    wrong,
)


@pytest.fixture(scope="module", params=ROLES)
def set_up(
    request: pytest.FixtureRequest,
    empty_openbao: OpenBaoServer,
    base: BootstrapOptions,
    logins: dict[str, LoginOptions],
) -> tuple[str, BootstrapOptions]:
    """Return a kind of login and its options, after a run from nothing."""
    options = replace(base, login=logins[request.param])
    run_bootstrap(empty_openbao.client(), options, dry_run=False, report=lambda _: None)
    return request.param, options


def test_a_second_run_finds_all_right(
    empty_openbao: OpenBaoServer, set_up: tuple[str, BootstrapOptions]
) -> None:
    assert wrong(empty_openbao, set_up[1], dry_run=True) == {}


@pytest.mark.parametrize("login", LOGINS)
def test_a_role_bears_its_own_policy_for_a_quarter_of_an_hour_and_a_day_at_most(
    empty_openbao: OpenBaoServer, set_up: tuple[str, BootstrapOptions], login: str
) -> None:
    role = empty_openbao.client().read(f"{ROLES[set_up[0]]}/{login}")["data"]

    assert (role["token_policies"], role["token_no_default_policy"]) == ([login], True)
    assert (role["token_ttl"], role["token_max_ttl"], role["token_period"]) == (900, 86400, 0)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"token_ttl": 3600}, "token_ttl is 3600, not 900"),
        ({"token_max_ttl": 0}, "token_max_ttl is 0, not 86400"),
        ({"token_period": 60}, "token_period is 60, not 0"),
        ({"token_no_default_policy": False}, "token_no_default_policy is false, not true"),
        (
            {"token_policies": ["gateway-svc", "keyvault-svc"]},
            'token_policies is ["gateway-svc", "keyvault-svc"], not ["gateway-svc"]',
        ),
    ],
)
def test_drift_of_a_role_is_told_and_mended(
    empty_openbao: OpenBaoServer,
    set_up: tuple[str, BootstrapOptions],
    damage: dict[str, object],
    told: str,
) -> None:
    kind, options = set_up
    role = f"{ROLES[kind]}/gateway-svc"
    needed = {"role_type": "jwt"} if kind == "jwt" else {}
    empty_openbao.client().write_data(role, data=needed | damage)

    [(step, found)] = wrong(empty_openbao, options, dry_run=True).items()
    mended = wrong(empty_openbao, options, dry_run=False)

    assert step.endswith("gateway-svc")
    assert found == (StepOutcome.DRIFT, told)
    assert mended == {step: (StepOutcome.CHANGED, told)}
    assert wrong(empty_openbao, options, dry_run=True) == {}


@pytest.mark.parametrize(
    ("kind", "path", "damage"),
    [
        (
            "kubernetes",
            "role/gateway-svc",
            {"bound_service_account_names": ["*"], "bound_service_account_namespaces": ["*"]},
        ),
        (
            "kubernetes",
            "role/gateway-svc",
            {"bound_service_account_namespace_selector": '{"matchLabels": {"a": "b"}}'},
        ),
        ("kubernetes", "role/gateway-svc", {"audience": "other"}),
        ("certificate", "certs/gateway-svc", {"allowed_uri_sans": ["spiffe://keyturn.test/*"]}),
        ("certificate", "certs/gateway-svc", {"certificate": Authority("foreign").pem.decode()}),
        ("jwt", "role/gateway-svc", {"bound_subject": "", "bound_audiences": ["vault"]}),
        ("jwt", "role/gateway-svc", {"bound_audiences": ["other", "vault"]}),
        ("jwt", "role/gateway-svc", {"user_claim": "email"}),
        (
            "jwt",
            "config",
            {"jwt_validation_pubkeys": [public_pem(FOREIGN_KEY).decode()], "bound_issuer": "x"},
        ),
    ],
)
def test_drift_of_who_may_log_in_is_seen_and_mended(
    empty_openbao: OpenBaoServer,
    base: BootstrapOptions,
    logins: dict[str, LoginOptions],
    kind: str,
    path: str,
    damage: dict[str, object],
) -> None:
    options = replace(base, login=logins[kind])
    wrong(empty_openbao, options, dry_run=False)
    mount = ROLES[kind].rpartition("/")[0]
    empty_openbao.client().write_data(f"{mount}/{path}", data={"role_type": "jwt", **damage})

    assert len(wrong(empty_openbao, options, dry_run=True)) == 1
    assert len(wrong(empty_openbao, options, dry_run=False)) == 1
    assert wrong(empty_openbao, options, dry_run=True) == {}


def test_what_an_earlier_choice_left_is_told(
    empty_openbao: OpenBaoServer, base: BootstrapOptions, logins: dict[str, LoginOptions]
) -> None:
    for kind in ("approle", "jwt"):
        wrong(empty_openbao, replace(base, login=logins[kind]), dry_run=False)

    results = run_bootstrap(empty_openbao.client(), base, dry_run=True, report=lambda _: None)

    [told] = [r for r in results if r.name == "other logins"]
    assert told.outcome is StepOutcome.OK
    assert "keyturn-jwt/" in told.detail


def test_a_reviewer_token_that_cannot_be_read_back_is_not_overwritten(
    empty_openbao: OpenBaoServer, base: BootstrapOptions, logins: dict[str, LoginOptions]
) -> None:
    options, admin = replace(base, login=logins["kubernetes"]), empty_openbao.client()
    wrong(empty_openbao, options, dry_run=False)
    path = "auth/keyturn-kubernetes/config"
    right = {k: v for k, v in admin.read(path)["data"].items() if k.startswith(("kub", "dis"))}
    admin.write_data(path, data={**right, "token_reviewer_jwt": "a.b.c"})
    assert wrong(empty_openbao, options, dry_run=True) == {}
    admin.write_data(
        path, data={**right, "token_reviewer_jwt": "a.b.c", "kubernetes_host": "https://k.test"}
    )

    with pytest.raises(BootstrapError, match=r"token_reviewer_jwt.*kubernetes_host"):
        wrong(empty_openbao, options, dry_run=False)

    assert admin.read(path)["data"]["token_reviewer_jwt_set"]
    admin.write_data(path, data=right)


@pytest.mark.parametrize("source", ["discovery_url", "jwks_url"])
def test_keys_may_come_from_a_url(
    empty_openbao: OpenBaoServer, base: BootstrapOptions, source: str
) -> None:
    issuer = f"{empty_openbao.address}/v1/identity/oidc"
    url = issuer if source == "discovery_url" else f"{issuer}/.well-known/keys"
    empty_openbao.client().write_data(
        "identity/oidc/config", data={"issuer": empty_openbao.address}
    )
    login = JWTLogins(
        ["vault"],
        SUBJECTS,
        issuer,
        discovery_url=url if source == "discovery_url" else None,
        jwks_url=url if source == "jwks_url" else None,
        ca_file=empty_openbao.ca_file,
    )

    wrong(empty_openbao, replace(base, login=login), dry_run=False)

    assert wrong(empty_openbao, replace(base, login=login), dry_run=True) == {}
    assert empty_openbao.client().read("auth/keyturn-jwt/config")["data"]["status"] == "valid"
