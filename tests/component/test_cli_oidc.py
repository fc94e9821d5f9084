"""`keyturn login` at an OIDC issuer, and what becomes of that login."""

from __future__ import annotations

import ipaddress
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import call_options
from keyturn_cli.commands.command_line import run as run_work
from keyturn_cli.commands.login import logout_command
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.oidc_renewal import require_login
from keyturn_cli.oidc_step_up import with_step_up
from keyturn_cli.owner_api import owner_api
from keyturn_cli.owner_token import OwnerToken, find_owner_token, find_stored_login
from keyvault_svc.domain.errors import KeyNotFoundError, StepUpRequiredError
from svc_runtime.clock import SystemClock
from svc_runtime.service_error import ServiceError
from tests.component.cli_stage import CertificateMaker, FakeServices
from tests.component.device_issuer import CLIENT_ID, DeviceIssuer, serving

Run = Callable[..., Result]
HOST: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
LATER = datetime.now(UTC) + timedelta(hours=2)  # an ID token of the issuer lives for one
STEP_UP = StepUpRequiredError(max_age_seconds=300, amr=("otp",), acr=("gold",))


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[DeviceIssuer]:
    folder = tmp_path / "issuer"
    folder.mkdir()
    certificate = CertificateMaker(folder, datetime.now(UTC)).issue("issuer", HOST)
    issuer = DeviceIssuer(SystemClock(), interval=1, person="bianca", gives_refresh_tokens=True)
    with serving(issuer, certificate) as issuer:
        yield issuer


@pytest.fixture
def environment(
    environment: dict[str, str], issuer: DeviceIssuer, tmp_path: Path
) -> dict[str, str]:
    return environment | {
        "KEYTURN_OIDC_ISSUER": issuer.url,
        "KEYTURN_OIDC_CLIENT_ID": CLIENT_ID,
        "KEYTURN_OIDC_CA": str(tmp_path / "issuer" / "ca.pem"),
    }


@pytest.fixture
def settings(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> ClientSettings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return ClientSettings.load()


@pytest.fixture
def logged_in(run: Run) -> Result:
    return run("login")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal at which the command could ask."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield
    os.close(ours)


def test_a_login_shows_the_code_and_is_kept_with_what_renews_it(
    logged_in: Result, issuer: DeviceIssuer, tmp_path: Path
) -> None:
    [code] = [login.user_code for login in issuer.logins.values()]
    kept = [tmp_path / "owner-token", tmp_path / "owner-refresh-token"]
    assert logged_in.exit_code == 0, logged_in.output
    assert f"{issuer.url}/device\n" in logged_in.stderr
    assert f"  {code}\n" in logged_in.stderr
    assert "Logged in as bianca, valid until" in logged_in.stderr
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


@pytest.mark.usefixtures("logged_in")
def test_the_next_command_is_that_person_s(run: Run, services: FakeServices) -> None:
    assert run("keys", "list").exit_code == 0

    assert services.calls[-1].request.parent == "users/bianca"  # type: ignore[attr-defined]  # a list


def test_a_login_is_told_to_programs_as_json(run: Run, tmp_path: Path) -> None:
    told = json.loads(run("login", "--json").stdout)

    assert (told["user"], told["is_renewed"]) == ("bianca", True)
    assert told["token_file"] == str(tmp_path / "owner-token")


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (("--browser",), {}, "no login by browser"),
        ((), {"KEYTURN_OIDC_FLOW": "browser"}, "no login by browser"),
        ((), {"KEYTURN_OIDC_FLOW": "phone"}, "KEYTURN_OIDC_FLOW must be browser or device"),
        ((), {"KEYTURN_OIDC_CLIENT_ID": "another"}, "does not take this client"),
        ((), {"KEYTURN_OIDC_CLIENT_ID": ""}, "KEYTURN_OIDC_CLIENT_ID is set neither"),
        ((), {"KEYTURN_OIDC_ISSUER": "http://127.0.0.1:1"}, "must begin with https"),
        ((), {"KEYTURN_OIDC_REDIRECT_PORT": "65536"}, "must be a port"),
        ((), {"KEYTURN_OIDC_CLIENT_SECRET_FILE": "/nowhere"}, "cannot be read"),
        ((), {"KEYTURN_OIDC_CLIENT_SECRET_FILE": "/dev/null"}, "names an empty file"),
        ((), {"KEYTURN_OIDC_CA": "/dev/null"}, "holds no PEM certificate"),
        (("--user", "alice", "--device"), {}, "for a login at an OIDC issuer"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_wrong_usage(
    run: Run, arguments: tuple[str, ...], variables: dict[str, str], told: str
) -> None:
    result = run("login", *arguments, **variables)

    assert result.exit_code == ExitCode.USAGE, result.output
    assert told in result.stderr


def test_an_issuer_that_is_away_is_no_refusal(run: Run, issuer: DeviceIssuer) -> None:
    issuer.is_away = True

    assert run("login").exit_code == ExitCode.UNAVAILABLE


@pytest.mark.usefixtures("logged_in")
def test_an_expired_login_is_renewed_without_the_person(
    settings: ClientSettings, issuer: DeviceIssuer
) -> None:
    before = find_stored_login(settings)

    renewed = require_login(settings, LATER)

    assert before is not None
    assert renewed.unverified_name == "bianca"
    assert renewed.refresh != before.refresh
    stored = find_stored_login(settings)
    assert stored is not None
    assert (stored.secret, stored.refresh) == (renewed.secret, renewed.refresh)
    assert list(issuer.refresh_tokens) == [_refresh_token(settings)]


def _refresh_token(settings: ClientSettings) -> str:
    stored = find_stored_login(settings)
    assert stored is not None
    assert stored.refresh is not None
    return stored.refresh.secret.expose().decode()


@pytest.mark.usefixtures("logged_in")
def test_a_login_that_has_not_expired_is_left_alone(
    settings: ClientSettings, issuer: DeviceIssuer
) -> None:
    issuer.is_away = True

    assert require_login(settings, datetime.now(UTC)).unverified_name == "bianca"


@pytest.mark.usefixtures("logged_in")
def test_an_issuer_that_no_longer_renews_ends_the_login(
    settings: ClientSettings, issuer: DeviceIssuer
) -> None:
    issuer.refresh_tokens.clear()

    with pytest.raises(CommandError, match="does not renew it") as raised:
        require_login(settings, LATER)

    assert raised.value.exit_code == ExitCode.REFUSED
    assert find_stored_login(settings) is None


@pytest.mark.usefixtures("logged_in")
def test_an_issuer_that_is_away_ends_no_login(
    settings: ClientSettings, issuer: DeviceIssuer
) -> None:
    issuer.is_away = True

    with pytest.raises(CommandError) as raised:
        require_login(settings, LATER)

    assert raised.value.exit_code == ExitCode.UNAVAILABLE
    issuer.is_away = False
    assert require_login(settings, LATER).unverified_name == "bianca"


@pytest.mark.usefixtures("logged_in")
def test_a_renewal_of_somebody_else_s_login_is_refused(
    settings: ClientSettings, issuer: DeviceIssuer
) -> None:
    issuer.claims = {"sub": "id-of-mallory"}

    with pytest.raises(CommandError, match="does not renew it"):
        require_login(settings, LATER)


@pytest.mark.usefixtures("logged_in")
def test_a_refresh_token_is_shown_to_no_other_issuer(
    settings: ClientSettings, issuer: DeviceIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTURN_OIDC_ISSUER", "https://127.0.0.1:1")
    elsewhere = ClientSettings.load()

    with pytest.raises(CommandError, match="expired"):
        require_login(elsewhere, LATER)

    assert list(issuer.refresh_tokens) == [_refresh_token(settings)]


@pytest.mark.usefixtures("logged_in")
def test_a_logout_forgets_the_login_and_gives_back_what_renews_it(
    environment: dict[str, str], settings: ClientSettings, issuer: DeviceIssuer
) -> None:
    secret = _refresh_token(settings)

    result = CliRunner(env=environment).invoke(logout_command)
    again = CliRunner(env=environment).invoke(logout_command)

    assert (result.exit_code, again.exit_code) == (0, 0)
    assert "Logged out." in result.stderr
    assert "no login to forget" in again.stderr
    assert "still a token in" in again.stderr  # client.env of the stage holds one
    assert issuer.revoked == [secret]
    assert find_stored_login(settings) is None


@pytest.mark.usefixtures("logged_in")
def test_a_logout_needs_no_issuer(
    environment: dict[str, str], settings: ClientSettings, issuer: DeviceIssuer
) -> None:
    issuer.is_away = True

    assert CliRunner(env=environment).invoke(logout_command).exit_code == 0
    assert find_stored_login(settings) is None


def test_fresh_asks_the_issuer_for_a_new_login(run: Run, issuer: DeviceIssuer) -> None:
    assert run("login", "--fresh").exit_code == 0

    [login] = issuer.logins.values()
    assert (login.asked["prompt"], login.asked["max_age"]) == ("login", "300")


def _listing(settings: ClientSettings) -> Callable[[OwnerToken], int]:
    async def work(token: OwnerToken) -> int:
        async with owner_api(settings, token, call_options(10)) as api:
            return len(await api.list_keys("users/bianca"))

    return lambda token: run_work(work(token))


def _refuse(services: FakeServices, error: ServiceError = STEP_UP) -> None:
    services.failure = (error, grpc.StatusCode.UNAUTHENTICATED)


@pytest.mark.usefixtures("logged_in", "terminal")
def test_a_refusal_that_asks_for_a_step_up_leads_to_a_new_login_and_a_second_call(
    settings: ClientSettings,
    services: FakeServices,
    issuer: DeviceIssuer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listing, first = _listing(settings), find_owner_token(settings)
    assert first is not None

    def call(token: OwnerToken) -> int:
        # The service is content with the new login.
        if token.secret == first.secret:
            _refuse(services)
        else:
            services.failure = None
        return listing(token)

    count, token = with_step_up(settings, first, call)

    asked = list(issuer.logins.values())[-1].asked
    assert (count, token.unverified_name) == (0, "bianca")
    assert (asked["max_age"], asked["acr_values"], asked["prompt"]) == ("300", "gold", "login")
    assert "a new login, at most 300 seconds old, with a second factor (otp), of level gold" in (
        capsys.readouterr().err
    )
    stored = find_stored_login(settings)
    assert stored is not None
    assert stored.secret == token.secret


@pytest.mark.usefixtures("logged_in", "terminal")
def test_the_call_is_repeated_only_once(settings: ClientSettings, services: FakeServices) -> None:
    _refuse(services)
    first = find_owner_token(settings)
    assert first is not None

    with pytest.raises(CommandError) as raised:
        with_step_up(settings, first, _listing(settings))

    assert raised.value.reason == "STEP_UP_REQUIRED"
    assert len(services.calls) == 2


@pytest.mark.usefixtures("logged_in")
def test_without_a_terminal_it_is_told_what_is_needed(
    settings: ClientSettings, services: FakeServices, issuer: DeviceIssuer
) -> None:
    _refuse(services)
    first = find_owner_token(settings)
    assert first is not None
    logins = len(issuer.logins)

    with pytest.raises(CommandError) as raised:
        with_step_up(settings, first, _listing(settings))

    assert raised.value.exit_code == ExitCode.REFUSED
    assert "at most 300 seconds old" in raised.value.text
    assert "keyturn login --fresh" in raised.value.hint
    assert len(issuer.logins) == logins


@pytest.mark.usefixtures("logged_in", "terminal")
def test_another_refusal_leads_to_no_login(
    settings: ClientSettings, services: FakeServices, issuer: DeviceIssuer
) -> None:
    _refuse(services, KeyNotFoundError())
    first = find_owner_token(settings)
    assert first is not None
    logins = len(issuer.logins)

    with pytest.raises(CommandError):
        with_step_up(settings, first, _listing(settings))

    assert (len(services.calls), len(issuer.logins)) == (1, logins)
