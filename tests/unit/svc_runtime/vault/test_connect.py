from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from svc_runtime.clock import SystemClock
from svc_runtime.settings_models import VaultLoginSettings, VaultSettings
from svc_runtime.vault.certificate_login import CertificateLogin
from svc_runtime.vault.connect import login_of, vault_session
from svc_runtime.vault.login import AppRoleLogin, JWTLogin, KubernetesLogin, VaultLogin
from svc_runtime.vault.token_file_login import TokenFileLogin

A, B = Path("a"), Path("b")
APPROLE = {"approle": {"role_id_file": "a", "secret_id_file": "b"}}
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@pytest.mark.parametrize(
    ("settings", "login"),
    [
        (APPROLE, AppRoleLogin("keyturn-approle", A, B)),
        (
            {"kubernetes": {"role": "r"}},
            KubernetesLogin("keyturn-kubernetes", "r", SERVICE_ACCOUNT),
        ),
        (
            {"kubernetes": {"role": "r", "mount": "m", "token_file": "a"}},
            KubernetesLogin("m", "r", A),
        ),
        (
            {"certificate": {"role": "r", "certificate": "a", "key": "b"}},
            CertificateLogin("keyturn-cert", "r", A, B),
        ),
        ({"jwt": {"role": "r", "token_file": "a"}}, JWTLogin("keyturn-jwt", "r", A)),
        ({"token": {"file": "a"}}, TokenFileLogin(A)),
    ],
)
def test_settings_name_a_login(settings: dict[str, Any], login: VaultLogin) -> None:
    assert login_of(VaultLoginSettings.model_validate(settings)) == login


def test_a_session_logs_in_as_its_settings_say() -> None:
    session = vault_session(_settings(), SystemClock())

    assert session._login == AppRoleLogin("keyturn-approle", A, B)


def test_a_job_may_log_in_to_the_same_vault_as_somebody_else() -> None:
    session = vault_session(_settings(), SystemClock(), TokenFileLogin(A))

    assert session._login == TokenFileLogin(A)
    assert session._connection.namespace == "team"


def _settings() -> VaultSettings:
    return VaultSettings.model_validate(
        {"address": "https://vault.example:8200", "namespace": "team", **APPROLE}
    )
