"""The doctor checks what is configured, and says of the rest what would turn it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from keyturn_cli.client_settings import read_env_file
from tests.component.cli_stage import unsigned_token

Run = Callable[..., Result]
OWNER = ("KEYTURN_KEYS_GRPC", "KEYTURN_CA")
APP = ("KEYTURN_GRPC", "KEYTURN_CA", "KEYTURN_CERT", "KEYTURN_CERT_KEY")
HOUR = timedelta(hours=1)


def _keep(environment: dict[str, str], *names: str) -> None:
    """Leave only *names* in `client.env`."""
    file = Path(environment["KEYTURN_CLIENT_ENV"])
    kept = {name: value for name, value in read_env_file(file).items() if name in names}
    file.write_text("".join(f"export {name}='{value}'\n" for name, value in kept.items()))


def _log_in(folder: Path, lifetime: timedelta = HOUR) -> None:
    file = folder / "owner-token"
    file.touch(mode=0o600)
    file.write_text(unsigned_token("alice", datetime.now(UTC) + lifetime))


def _examined(result: Result) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def _in_state(checks: dict[str, dict[str, Any]], state: str) -> set[str]:
    return {name for name, check in checks.items() if check["state"] == state}


def test_an_owner_with_a_login_is_well(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    _keep(environment, *OWNER)
    _log_in(tmp_path)

    result = run("doctor", "--json")

    checks = _examined(result)
    assert result.exit_code == 0, result.stdout
    assert _in_state(checks, "ok") == {
        *("settings", "mode of stored login", "certificate KEYTURN_CA"),
        *("owner token", "owner port"),
    }
    assert _in_state(checks, "problem") == set()


def test_an_app_without_a_login_is_well(run: Run, environment: dict[str, str]) -> None:
    _keep(environment, *APP)

    result = run("doctor", "--json")

    checks = _examined(result)
    assert result.exit_code == 0, result.stdout
    assert _in_state(checks, "ok") == {
        *("settings", "mode of certificate key", "certificate key"),
        *("certificate KEYTURN_CA", "certificate KEYTURN_CERT", "gateway gRPC"),
    }


@pytest.mark.parametrize(
    ("check", "variable"),
    [
        ("gateway gRPC", "KEYTURN_GRPC"),
        ("gateway HTTPS", "KEYTURN_HTTP"),
        ("Vault", "VAULT_ADDR"),
        ("clock", "VAULT_ADDR"),
        ("Vault audit log", "KEYTURN_VAULT_AUDIT_LOG"),
        ("Vault set-up", "--config"),
        ("certificate VAULT_CACERT", "VAULT_CACERT"),
        ("certificate key", "KEYTURN_CERT_KEY"),
    ],
)
def test_what_is_left_out_is_told_with_what_would_turn_it_on(
    run: Run, environment: dict[str, str], check: str, variable: str
) -> None:
    _keep(environment, *OWNER)

    found = _examined(run("doctor", "--json"))[check]

    assert (found["state"], variable in found["detail"]) == ("skipped", True)


@pytest.mark.parametrize("check", ["owner port", "owner token"])
def test_an_app_is_told_what_would_turn_on_the_checks_of_people(
    run: Run, environment: dict[str, str], check: str
) -> None:
    _keep(environment, *APP)

    found = _examined(run("doctor", "--json"))[check]

    assert (found["state"], "KEYTURN_KEYS_GRPC" in found["detail"]) == ("skipped", True)


def test_the_last_line_does_not_call_well_what_was_not_checked(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    _keep(environment, *OWNER)
    _log_in(tmp_path)

    told = run("doctor").stdout

    assert told.splitlines()[-1].startswith("All that was checked is well. ")


def test_nothing_configured_is_a_problem(run: Run, environment: dict[str, str]) -> None:
    _keep(environment, "KEYTURN_CA")

    result = run("doctor", "--json")

    checks = _examined(result)
    assert result.exit_code == 7
    assert _in_state(checks, "problem") == {"settings"}
    assert "KEYTURN_CLIENT_ENV" in checks["settings"]["mend"]


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        (("KEYTURN_KEYS_GRPC",), "KEYTURN_CA"),
        (APP[:2], "KEYTURN_CERT, KEYTURN_CERT_KEY"),
        (APP[:3], "KEYTURN_CERT_KEY"),
    ],
    ids=["an owner without the CA", "an app without a certificate", "one without its key"],
)
def test_what_a_configured_part_lacks_is_a_problem(
    run: Run, environment: dict[str, str], there: tuple[str, ...], missing: str
) -> None:
    _keep(environment, *there)

    result = run("doctor", "--json")

    found = _examined(result)["settings"]
    assert (result.exit_code, found["state"]) == (7, "problem")
    assert found["detail"] == f"not set: {missing}"
    assert found["mend"].startswith(missing.partition(",")[0])


def test_an_owner_who_is_not_logged_in_is_told_to(run: Run, environment: dict[str, str]) -> None:
    _keep(environment, *OWNER)

    result = run("doctor", "--json")

    checks = _examined(result)
    assert (result.exit_code, _in_state(checks, "problem")) == (7, {"owner token"})
    assert "keyturn login" in checks["owner token"]["mend"]


@pytest.mark.parametrize(("is_renewed", "exit_code"), [(True, 0), (False, 7)])
def test_an_expired_login_is_a_problem_unless_the_next_command_renews_it(
    run: Run,
    environment: dict[str, str],
    tmp_path: Path,
    is_renewed: bool,  # noqa: FBT001 - a parameter of the table above
    exit_code: int,
) -> None:
    _keep(environment, *OWNER)
    _log_in(tmp_path, lifetime=-HOUR)
    issuer = {
        "KEYTURN_OIDC_ISSUER": "https://login.example.org",
        "KEYTURN_OIDC_CLIENT_ID": "cli",
    }
    if is_renewed:
        refresh = {"issuer": "https://login.example.org", "client_id": "cli", "refresh_token": "r"}
        (tmp_path / "owner-refresh-token").write_text(json.dumps(refresh))

    result = run("doctor", "--json", **issuer)

    assert result.exit_code == exit_code
    assert "expired" in _examined(result)["owner token"]["detail"]


def test_a_file_without_tokens_may_be_read_by_all(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    _keep(environment, *OWNER)
    _log_in(tmp_path)
    Path(environment["KEYTURN_CLIENT_ENV"]).chmod(0o644)

    assert run("doctor").exit_code == 0


def test_a_file_with_tokens_may_not_be_read_by_others(
    run: Run, environment: dict[str, str]
) -> None:
    Path(environment["KEYTURN_CLIENT_ENV"]).chmod(0o644)

    result = run("doctor", "--json")

    assert result.exit_code == 7
    assert _examined(result)["mode of client.env"]["state"] == "problem"
