from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.people_login import UserpassLogin, VaultCaller, check_user
from keyturn_cli.vault_http import VaultAnswer
from svc_runtime.secret_bytes import SecretBytes

TOKEN = "e30.eyJwcmVmZXJyZWRfdXNlcm5hbWUiOiJhbGljZSJ9.c2ln"
LOGGED_IN = VaultAnswer(200, {"auth": {"client_token": "s.vault"}}, "")
ID_TOKEN = VaultAnswer(200, {"data": {"token": TOKEN, "ttl": 3600}}, "")


class FakeVault(VaultCaller):
    """Answers a login and an ID token as told, and remembers what was called."""

    def __init__(self, login: VaultAnswer = LOGGED_IN, id_token: VaultAnswer = ID_TOKEN) -> None:
        self._answers = {"auth/keyturn-people": login, "identity/oidc": id_token}
        self.paths: list[str] = []

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        token: SecretBytes | None = None,
    ) -> VaultAnswer:
        assert (token is None) == (body is not None)
        assert method in {"GET", "POST"}
        self.paths.append(path)
        return self._answers.get("/".join(path.split("/")[:2]), VaultAnswer(204, {}, ""))


def _login(vault: FakeVault) -> UserpassLogin:
    return UserpassLogin(vault, "alice", SecretBytes(b"pw"))


async def test_a_person_gets_an_id_token_and_vault_its_own_back() -> None:
    vault = FakeVault()

    token = await _login(vault).obtain_token()

    assert token.unverified_name == "alice"
    assert vault.paths == [
        "auth/keyturn-people/login/alice",
        "identity/oidc/token/keyturn-owner",
        "auth/token/revoke-self",
    ]


async def test_vault_s_token_is_given_back_also_without_an_id_token() -> None:
    vault = FakeVault(id_token=VaultAnswer(403, {"errors": ["permission denied"]}, ""))

    with pytest.raises(CommandError) as raised:
        await _login(vault).obtain_token()

    assert raised.value.exit_code == ExitCode.REFUSED
    assert vault.paths[-1] == "auth/token/revoke-self"


@pytest.mark.parametrize(
    ("status", "document", "exit_code"),
    [
        (400, {"errors": ["invalid username or password"]}, ExitCode.REFUSED),
        (403, {}, ExitCode.REFUSED),
        (200, {"auth": {"mfa_requirement": {}}}, ExitCode.REFUSED),
        (404, {}, ExitCode.USAGE),
        (429, {}, ExitCode.UNAVAILABLE),
        (503, {"errors": ["Vault is sealed"]}, ExitCode.UNAVAILABLE),
    ],
)
async def test_an_outage_is_no_refusal(
    status: int, document: dict[str, Any], exit_code: ExitCode
) -> None:
    vault = FakeVault(login=VaultAnswer(status, document, ""))

    with pytest.raises(CommandError) as raised:
        await _login(vault).obtain_token()

    assert raised.value.exit_code == exit_code


@pytest.mark.parametrize("user", ["", ".", "..", "a/b", "a%2fb", "-a", "a b", "ä", "a" * 64, "a\n"])
def test_a_user_name_cannot_leave_its_path(user: str) -> None:
    with pytest.raises(CommandError, match="--user"):
        check_user(user)
