"""Who may log in after a bootstrap, and who may not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hvac
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hvac.exceptions import Forbidden, InvalidRequest, VaultError

from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap import BootstrapOptions
from keyvault_svc.vault.bootstrap.login_options import LOGINS, KubernetesLogins, LoginOptions
from tests.certs import Authority, write
from tests.integration.keyvault_svc.login_choices import (
    ACCOUNTS,
    AUTHORITY,
    FOREIGN_KEY,
    SIGNING_KEY,
    SUBJECTS,
    wrong,
)
from tests.integration.svc_runtime.fake_kubernetes_api import FakeKubernetesAPI


def _token(login: str, key: ec.EllipticCurvePrivateKey = SIGNING_KEY, **claims: object) -> str:
    now = int(time.time())
    usual = {"sub": SUBJECTS[login], "aud": "vault", "iss": "https://issuer.test"}
    return jwt.encode({**usual, "iat": now, "exp": now + 60, **claims}, key, algorithm="ES256")


def _policies(server: OpenBaoServer, send: Callable[[hvac.Client], Any]) -> list[str]:
    client = server.client()
    client.token = None
    policies: list[str] = send(client)["auth"]["policies"]
    return policies


@pytest.mark.parametrize("login", LOGINS)
def test_a_login_by_jwt_is_for_its_own_subject_key_issuer_and_audience(
    empty_openbao: OpenBaoServer,
    base: BootstrapOptions,
    logins: dict[str, LoginOptions],
    login: str,
) -> None:
    wrong(empty_openbao, replace(base, login=logins["jwt"]), dry_run=False)

    def send(token: str) -> Callable[[hvac.Client], Any]:
        body = {"role": login, "jwt": token}
        return lambda client: client.write_data("auth/keyturn-jwt/login", data=body)

    assert _policies(empty_openbao, send(_token(login))) == [login]
    for stranger in (
        *(_token(other) for other in LOGINS if other != login),
        _token(login, FOREIGN_KEY),
        _token(login, aud="other"),
        _token(login, iss="https://other.test"),
    ):
        with pytest.raises((InvalidRequest, Forbidden)):
            _policies(empty_openbao, send(stranger))


def test_a_login_by_certificate_is_for_its_own_spiffe_id(
    empty_openbao: OpenBaoServer,
    base: BootstrapOptions,
    logins: dict[str, LoginOptions],
    tmp_path: Path,
) -> None:
    wrong(empty_openbao, replace(base, login=logins["certificate"]), dry_run=False)

    def policies(spiffe_id: str, role: str, authority: Authority = AUTHORITY) -> list[str]:
        files = write(tmp_path, authority.issue(uris=[spiffe_id]), authority.pem)

        def send(client: hvac.Client) -> object:
            client.session.cert = (str(files.certificate), str(files.key))
            return client.write_data("auth/keyturn-cert/login", data={"name": role})

        return _policies(empty_openbao, send)

    own = "spiffe://keyturn.test/keyvault-maintenance"
    assert policies(own, "keyvault-maintenance") == ["keyvault-maintenance"]
    assert policies("spiffe://other.test/gw", "gateway-svc") == ["gateway-svc"]
    for spiffe_id, role, authority in (
        (own, "keyvault-svc", AUTHORITY),
        ("spiffe://keyturn.test/gateway-svc", "gateway-svc", AUTHORITY),
        (own, "keyvault-maintenance", Authority("foreign")),
    ):
        with pytest.raises(VaultError):
            policies(spiffe_id, role, authority)


async def test_a_login_by_service_account_is_for_its_own_account(
    empty_openbao: OpenBaoServer, base: BootstrapOptions, tmp_path: Path
) -> None:
    async with FakeKubernetesAPI(tmp_path) as api:
        ca = tmp_path / "kubernetes.pem"
        ca.write_text(api.ca)
        login = KubernetesLogins(api.address, ACCOUNTS, "vault", ca, is_reviewed_by_vault=False)
        wrong(empty_openbao, replace(base, login=login), dry_run=False)

        async def policies(role: str) -> list[str]:
            body = {"role": role, "jwt": api.issue_token()}  # of keyturn/keyvault-svc
            return await asyncio.to_thread(
                _policies,
                empty_openbao,
                lambda client: client.write_data("auth/keyturn-kubernetes/login", data=body),
            )

        assert await policies("keyvault-svc") == ["keyvault-svc"]
        for role in ("gateway-svc", "keyvault-maintenance"):
            with pytest.raises(Forbidden):
                await policies(role)
