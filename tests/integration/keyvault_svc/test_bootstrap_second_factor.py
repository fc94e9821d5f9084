"""What a bootstrapped server says of a login with two factors, and of one without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.local.layout import Layout
from keyturn_cli.local.local_vault import LocalVault
from keyturn_cli.local.openbao_server import OpenBaoServer
from keyturn_cli.local.totp import PERIOD_SECONDS, totp_code
from keyturn_cli.people_login import UserpassLogin
from keyturn_cli.vault_http import vault_http
from keyvault_svc.vault.bootstrap import BootstrapOptions, run_bootstrap
from svc_runtime.clock import SystemClock
from svc_runtime.secret_bytes import SecretBytes

PASSWORD = SecretBytes(b"correct horse")
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def server(empty_openbao: OpenBaoServer, base: BootstrapOptions) -> OpenBaoServer:
    options = replace(base, issuer=empty_openbao.address)
    run_bootstrap(empty_openbao.client(), options, dry_run=False, report=lambda _: None)
    return empty_openbao


@pytest.fixture
def vault(server: OpenBaoServer, tmp_path: Path) -> Iterator[LocalVault]:
    """The administrator, and a demo owner who has a password; their second factor ends after."""
    layout = Layout(tmp_path)
    layout.password_file.write_bytes(PASSWORD.expose())
    vault = LocalVault(server.client(), layout, CLOCK)
    vault.ensure_owner()
    yield vault
    server.client().delete("identity/entity/name/alice")


@pytest.fixture
def settings(server: OpenBaoServer, tmp_path: Path) -> ClientSettings:
    place = {"VAULT_ADDR": server.address, "VAULT_CACERT": str(server.ca_file)}
    return ClientSettings(tmp_path / "client.env", tmp_path, place, {})


async def _claims(
    settings: ClientSettings, ask_code: Callable[[], SecretBytes] | None, password: SecretBytes
) -> dict[str, Any]:
    async with vault_http(settings, 10) as http:
        token = await UserpassLogin(http, "alice", password, ask_code).obtain_token()
    return jwt.decode(token.secret.expose(), options={"verify_signature": False})


def _code(uri: str, now: datetime) -> SecretBytes:
    return SecretBytes(totp_code(uri, now).encode())


async def test_a_login_with_both_factors_says_so_and_when(
    vault: LocalVault, settings: ClientSettings
) -> None:
    uri = vault.enrol_owner(anew=False)
    before = CLOCK.now()

    claims = await _claims(settings, lambda: _code(uri, CLOCK.now()), PASSWORD)

    assert claims["preferred_username"] == "alice"
    assert claims["amr"] == ["pwd", "otp"]
    said = datetime.fromtimestamp(claims["keyturn_auth_time"], before.tzinfo)
    assert before - timedelta(seconds=62) <= said <= CLOCK.now() - timedelta(seconds=58)


async def test_a_login_by_password_alone_says_nothing_of_a_second_factor(
    vault: LocalVault, settings: ClientSettings
) -> None:
    vault.enrol_owner(anew=False)

    claims = await _claims(settings, None, PASSWORD)

    assert claims["preferred_username"] == "alice"
    assert not {"amr", "acr", "auth_time", "keyturn_auth_time"} & claims.keys()


async def test_both_logins_are_of_the_same_person(
    vault: LocalVault, settings: ClientSettings
) -> None:
    uri = vault.enrol_owner(anew=False)

    one = await _claims(settings, None, PASSWORD)
    two = await _claims(settings, lambda: _code(uri, CLOCK.now()), PASSWORD)

    assert (one["sub"], one["aud"], one["iss"]) == (two["sub"], two["aud"], two["iss"])


async def test_a_wrong_code_a_spent_one_and_a_wrong_password_are_refused(
    vault: LocalVault, settings: ClientSettings
) -> None:
    uri, now = vault.enrol_owner(anew=False), CLOCK.now()
    far = now + timedelta(seconds=100 * PERIOD_SECONDS)
    await _claims(settings, lambda: _code(uri, now), PASSWORD)

    for code in (_code(uri, now), _code(uri, far), SecretBytes(b"x")):
        with pytest.raises(CommandError, match="code is wrong") as raised:
            await _claims(settings, lambda code=code: code, PASSWORD)  # type: ignore[misc]  # bound now
        assert raised.value.exit_code == ExitCode.REFUSED
    with pytest.raises(CommandError, match="password is wrong"):
        await _claims(settings, lambda: _code(uri, now), SecretBytes(b"wrong"))


async def test_a_new_enrolment_makes_codes_of_the_old_one_worthless(
    vault: LocalVault, settings: ClientSettings, tmp_path: Path
) -> None:
    old = vault.enrol_owner(anew=False)
    assert vault.enrol_owner(anew=False) == old

    new = vault.enrol_owner(anew=True)

    assert new != old
    assert Layout(tmp_path).second_factor_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="code is wrong"):
        await _claims(settings, lambda: _code(old, CLOCK.now()), PASSWORD)
    assert (await _claims(settings, lambda: _code(new, CLOCK.now()), PASSWORD))["amr"]


async def test_without_an_enforcement_no_login_passes_for_one_with_two_factors(
    vault: LocalVault, settings: ClientSettings, server: OpenBaoServer, base: BootstrapOptions
) -> None:
    vault.enrol_owner(anew=False)
    server.client().delete("identity/mfa/login-enforcement/keyturn-people-mfa")

    with pytest.raises(CommandError, match="no second factor to prove"):
        await _claims(settings, lambda: SecretBytes(b"000000"), PASSWORD)

    options = replace(base, issuer=server.address)
    run_bootstrap(server.client(), options, dry_run=False, report=lambda _: None)


async def test_the_token_of_a_password_alone_cannot_be_exchanged_for_one_that_says_more(
    vault: LocalVault, settings: ClientSettings
) -> None:
    vault.enrol_owner(anew=False)
    async with vault_http(settings, 10) as http:
        path, body = "auth/keyturn-people/login/alice", {"password": PASSWORD.expose().decode()}
        auth = (await http.call("POST", path, body=body)).document["auth"]
        token = SecretBytes(auth["client_token"].encode())
        for path, method in (
            ("identity/oidc/token/keyturn-owner-mfa", "GET"),
            ("identity/mfa/method/totp/generate", "POST"),
            ("auth/token/renew-self", "POST"),
        ):
            assert (await http.call(method, path, token=token)).status == 403


def test_the_stack_itself_can_log_its_owner_in(vault: LocalVault) -> None:
    vault.enrol_owner(anew=False)

    token = vault.second_factor_token()

    claims = jwt.decode(token.expose(), options={"verify_signature": False})
    assert claims["amr"] == ["pwd", "otp"]


def test_the_enrolment_is_labelled_with_the_person_s_name(vault: LocalVault) -> None:
    assert vault.enrol_owner(anew=True).startswith("otpauth://totp/Keyturn:alice?")


@pytest.mark.usefixtures("vault")
def test_a_login_with_two_factors_lives_for_a_minute_at_most(server: OpenBaoServer) -> None:
    tuned = server.client().read("sys/auth")["data"]["keyturn-people-mfa/"]["config"]

    assert tuned["max_lease_ttl"] == 60
