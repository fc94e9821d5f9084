from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keyvault_svc.vault.bootstrap.login_options import (
    LOGINS,
    CertificateLogins,
    JWTLogins,
    KubernetesLogins,
)

KUBERNETES: dict[str, Any] = {
    "host": "https://kubernetes.test",
    "service_accounts": {login: f"keyturn/{login}" for login in LOGINS},
    "audience": "vault",
    "ca_file": Path("ca.pem"),
    "is_reviewed_by_vault": False,
}
JWT: dict[str, Any] = {
    "audiences": ["vault"],
    "subjects": {login: f"sub-{login}" for login in LOGINS},
    "issuer": "https://issuer.test",
    "jwks_url": "https://issuer.test/keys",
}


def test_sound_options_are_accepted() -> None:
    assert KubernetesLogins(**KUBERNETES).audience == "vault"
    assert JWTLogins(**JWT).jwks_url == "https://issuer.test/keys"
    assert CertificateLogins(Path("ca.pem")).uri_sans == {}


@pytest.mark.parametrize(
    "account", ["keyturn", "*/gateway-svc", "keyturn/*", "a/b/c", "/x", "x/", "", "ns/a b"]
)
def test_a_service_account_is_one_account(account: str) -> None:
    accounts = {**KUBERNETES["service_accounts"], "gateway-svc": account}

    with pytest.raises(ValueError, match="service_accounts"):
        KubernetesLogins(**KUBERNETES | {"service_accounts": accounts})


@pytest.mark.parametrize(
    "names", [{}, {"gateway-svc": "a/b"}, {**dict.fromkeys(LOGINS), "x": "a/b"}]
)
def test_every_login_has_an_account_and_nobody_else(names: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="service_accounts must name each of"):
        KubernetesLogins(**KUBERNETES | {"service_accounts": names})


def test_a_token_that_asks_for_its_own_review_needs_the_ca() -> None:
    with pytest.raises(ValueError, match="ca_file"):
        KubernetesLogins(**KUBERNETES | {"ca_file": None})


@pytest.mark.parametrize(
    "uri_sans",
    [
        {"app": ["spiffe://keyturn.test/app"]},
        {"gateway-svc": []},
        {"gateway-svc": ["spiffe://keyturn.test/*"]},
        {"gateway-svc": ["https://keyturn.test/gateway-svc"]},
    ],
)
def test_a_certificate_logs_in_by_spiffe_ids_without_patterns(
    uri_sans: dict[str, list[str]],
) -> None:
    with pytest.raises(ValueError, match=r"uri_sans|SPIFFE"):
        CertificateLogins(Path("ca.pem"), uri_sans)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"audiences": []}, "audiences"),
        ({"audiences": [""]}, "audiences"),
        ({"subjects": {"gateway-svc": "x"}}, "subjects"),
        ({"subjects": dict.fromkeys(LOGINS, "same")}, "subjects must differ"),
        ({"issuer": None}, "issuer"),
        ({"jwks_url": None}, "one of"),
        ({"public_keys_file": Path("keys.pem")}, "one of"),
    ],
)
def test_a_jwt_is_bound_to_issuer_audience_and_subject(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        JWTLogins(**JWT | wrong)
