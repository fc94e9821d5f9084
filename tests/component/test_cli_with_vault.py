from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result

from keyturn_cli.client_settings import read_env_file
from keyturn_cli.local.openbao_server import OpenBaoServer
from tests.component.cli_stage import (
    APP,
    LEASE,
    CertificateMaker,
)
from tests.component.cli_vault import PASSWORD, TwoHalves, add_person

Run = Callable[..., Result]
REQUEST_ID = "cli-audit-trail-0001"


@pytest.fixture
def environment(environment: dict[str, str], openbao: OpenBaoServer) -> dict[str, str]:
    gateway = read_env_file(Path(environment["KEYTURN_CLIENT_ENV"]))["KEYTURN_GRPC"]
    return environment | {
        "VAULT_ADDR": openbao.address,
        "VAULT_CACERT": str(openbao.ca_file),
        "KEYTURN_VAULT_AUDIT_LOG": str(openbao.audit_log),
        "KEYTURN_HTTP": f"https://{gateway}",
    }


@pytest.fixture(scope="module")
def alice(openbao: OpenBaoServer) -> str:
    add_person(openbao, "alice")
    return "alice"


def _log_in(run: Run, user: str, password: str = PASSWORD) -> Result:
    return run("login", "--user", user, "--password-stdin", stdin=f"{password}\n".encode())


def test_a_login_is_kept_for_the_next_command(run: Run, alice: str, tmp_path: Path) -> None:
    result = _log_in(run, alice)

    stored = tmp_path / "owner-token"
    assert result.exit_code == 0, result.stderr
    assert f"Logged in as {alice}, valid until " in result.stderr
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert run("keys", "list").exit_code == 0


def test_a_login_with_a_shared_file_is_kept_with_the_user_who_is_told_why(
    run: Run, alice: str, environment: dict[str, str], tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    environment["KEYTURN_CLIENT_ENV"] = str(
        Path(environment["KEYTURN_CLIENT_ENV"]).rename(shared / "client.env")
    )
    shared.chmod(0o777)

    result = _log_in(run, alice)

    (stored,) = (tmp_path / "state" / "keyturn").iterdir()
    assert f"kept in {stored}, because {shared} can be written by others." in result.stderr
    assert [file.name for file in shared.iterdir()] == ["client.env"]
    assert run("keys", "list").exit_code == 0


def test_a_login_leaves_no_token_of_vault_behind(
    run: Run, alice: str, openbao: OpenBaoServer
) -> None:
    accessors = openbao.client().list("auth/token/accessors")["data"]["keys"]

    _log_in(run, alice)

    left = set(openbao.client().list("auth/token/accessors")["data"]["keys"]) - set(accessors)
    assert left == set()


def test_a_wrong_password_is_refused_and_keeps_nothing(
    run: Run, alice: str, tmp_path: Path
) -> None:
    result = _log_in(run, alice, "wrong")

    assert result.exit_code == 3
    assert "User name or password is wrong." in result.stderr
    assert not (tmp_path / "owner-token").exists()


def test_a_vault_of_another_ca_gets_no_password(run: Run, tmp_path: Path) -> None:
    result = run("login", "--password-stdin", stdin=b"pw", VAULT_CACERT=str(tmp_path / "ca.pem"))

    assert result.exit_code == 2
    assert "not trusted by VAULT_CACERT" in result.stderr


def test_a_vault_that_is_down_is_unavailable(run: Run) -> None:
    result = run("login", "--password-stdin", stdin=b"pw", VAULT_ADDR="https://127.0.0.1:1")

    assert result.exit_code == 5


def test_a_password_does_not_travel_in_the_clear(run: Run) -> None:
    result = run("login", "--password-stdin", stdin=b"pw", VAULT_ADDR="http://127.0.0.1:1")

    assert result.exit_code == 2
    assert "https" in result.stderr


@pytest.fixture(scope="module")
def audited(openbao: OpenBaoServer) -> None:
    headers = {
        "X-Keyturn-Request-Id": REQUEST_ID,
        "X-Keyturn-Lease": LEASE,
        "X-Keyturn-App": APP,
        "X-Keyturn-Key": "users/alice/keys/openai",
    }
    TwoHalves(openbao).serve(headers)


@pytest.mark.usefixtures("audited")
def test_the_trail_of_a_request_is_read_from_vault_s_own_log(run: Run) -> None:
    told = run("audit", "trail", REQUEST_ID)
    document = json.loads(run("audit", "trail", REQUEST_ID, "--json").stdout)

    assert told.exit_code == 0, told.output
    assert "Complete chain: exactly one KV read by keyvault-svc" in told.stdout
    assert [(step["step"], step["who"]) for step in document["steps"]] == [
        ("KV read", "keyvault-svc"),
        ("decrypt", "gateway-svc"),
    ]
    assert {(step["lease"], step["app"]) for step in document["steps"]} == {(LEASE, APP)}
    assert document["verdict"] == "complete"


def test_a_request_without_a_trace_is_told_by_the_exit_code(run: Run) -> None:
    result = run("audit", "trail", "no-such-request")

    assert result.exit_code == 7
    assert result.stdout.startswith("No trace of this request id")


def test_logs_of_services_beside_client_env_join_the_trail(run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    record = {"event": "rpc", "request_id": "joined-0001", "method": "/x/Y", "code": "OK"}
    (tmp_path / "logs" / "gateway-svc.log").write_text(json.dumps(record) + "\nnot json\n")

    result = run("audit", "trail", "joined-0001")

    assert "app -> gateway" in result.stdout
    assert "note: 1 lines of service logs are no JSON objects" in result.stderr


def _checks(result: Result) -> dict[str, str]:
    return {check["name"]: check["state"] for check in json.loads(result.stdout)["checks"]}


def test_the_doctor_finds_a_healthy_stack_healthy(run: Run, alice: str) -> None:
    _log_in(run, alice)

    checks = _checks(run("doctor", "--json"))

    # The stage has a gRPC port that asks for a certificate where the gateway has HTTPS.
    del checks["gateway HTTPS"]
    assert {name for name, state in checks.items() if state == "problem"} == set()
    assert checks["owner port"] == checks["gateway gRPC"] == checks["Vault"] == "ok"


def test_the_doctor_finds_an_operator_s_vault_healthy_without_any_other_part(
    run: Run, environment: dict[str, str]
) -> None:
    Path(environment["KEYTURN_CLIENT_ENV"]).write_text("")
    for name in ("KEYTURN_HTTP", "KEYTURN_VAULT_AUDIT_LOG"):
        del environment[name]

    result = run("doctor", "--json")

    checks = _checks(result)
    assert result.exit_code == 0, result.stdout
    assert {name for name, state in checks.items() if state == "ok"} == {
        *("settings", "certificate VAULT_CACERT", "Vault", "clock")
    }


def test_the_doctor_takes_any_answer_of_the_https_port(run: Run, openbao: OpenBaoServer) -> None:
    address = {"KEYTURN_HTTP": openbao.address, "KEYTURN_CA": str(openbao.ca_file)}

    checks = _checks(run("doctor", "--json", **address))

    assert checks["gateway HTTPS"] == "ok"


@pytest.mark.parametrize(
    ("variable", "value", "check"),
    [
        ("KEYTURN_GRPC", "127.0.0.1:1", "gateway gRPC"),
        ("KEYTURN_KEYS_GRPC", "127.0.0.1:1", "owner port"),
        ("KEYTURN_HTTP", "https://127.0.0.1:1", "gateway HTTPS"),
        ("VAULT_ADDR", "https://127.0.0.1:1", "Vault"),
        ("KEYTURN_CA", "/nowhere", "certificate KEYTURN_CA"),
        ("KEYTURN_CERT_KEY", "/nowhere", "certificate key"),
        ("KEYTURN_VAULT_AUDIT_LOG", "/nowhere", "Vault audit log"),
    ],
)
def test_the_doctor_finds_what_is_broken(run: Run, variable: str, value: str, check: str) -> None:
    result = run("doctor", "--json", **{variable: value})

    assert result.exit_code == 7
    assert _checks(result)[check] == "problem"


def test_the_doctor_finds_a_certificate_that_has_expired(run: Run, tmp_path: Path) -> None:
    certificates = CertificateMaker(tmp_path, datetime.now(UTC))
    certificate, key = certificates.issue("old", [], timedelta(seconds=-1))

    result = run("doctor", KEYTURN_CERT=str(certificate), KEYTURN_CERT_KEY=str(key))

    assert "expired at" in result.stdout


def test_the_doctor_finds_a_key_that_others_can_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "demo.key").chmod(0o644)

    result = run("doctor", "--json")

    assert _checks(result)["mode of certificate key"] == "problem"


def test_the_doctor_says_in_the_process_what_to_do(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "keyturn_cli", "doctor"]
    variables = {**os.environ, **environment, "KEYTURN_GRPC": "127.0.0.1:1"}

    process = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    assert (process.returncode, process.stderr) == (7, "")
    assert "Start it (`keyturn local up`)" in process.stdout
