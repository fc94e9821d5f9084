"""`keyturn audit verify` over the logs of a real day: nothing to find, until there is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from keyturn_cli.audit.options import SECOND_US
from keyturn_cli.exit_codes import ExitCode
from tests.e2e.clients import Clients
from tests.integration.audit.day import Day, lived_day
from tests.integration.audit.thief import Thief

pytestmark = pytest.mark.timeout(180)
_SECONDS = 60
# Without these the day would prove little.
_USES = {
    ("keyvault-svc", "read", "keyturn-kv/data/operator/controls"),
    ("keyvault-svc", "create", "keyturn-kv/data/operator/controls"),
    ("keyvault-svc", "update", "keyturn-transit/encrypt/openai"),
    ("keyvault-svc", "update", "keyturn-transit/hmac/fingerprint"),
    ("keyvault-svc", "update", "keyturn-transit/sign/audit-keyvault-svc"),
    ("keyvault-svc", "update", "sys/wrapping/wrap"),
    ("gateway-svc", "update", "sys/wrapping/lookup"),
    ("gateway-svc", "update", "sys/wrapping/unwrap"),
    ("gateway-svc", "update", "keyturn-transit/decrypt/openai"),
    ("gateway-svc", "update", "keyturn-transit/sign/audit-gateway-svc"),
    ("keyvault-maintenance", "list", "keyturn-kv/metadata/users/"),
    ("keyvault-maintenance", "update", "keyturn-transit/rewrap/openai"),
    ("keyvault-maintenance", "update", "keyturn-transit/keys/openai/rotate"),
    ("keyvault-maintenance", "update", "keyturn-transit/keys/openai/config"),
}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Day, Clients]]:
    """A day that is over, and the stack in which only Vault still runs."""
    with lived_day(tmp_path_factory.mktemp("verified-day") / "home") as lived:
        yield lived


def _verify(lived: tuple[Day, Clients], vault_log: Path) -> tuple[int, dict[str, Any]]:
    """Run the command over the files; return its exit code and what it says."""
    day, clients = lived
    layout = clients.stack.layout
    command = [sys.executable, "-m", "keyturn_cli", "audit", "verify", str(vault_log), "--json"]
    command += ["--signing-keys", str(layout.signing_keys_file)]
    for service in day.services:
        command += ["--service-log", str(layout.logs_dir / f"{service}.log")]
    for window in day.windows:
        command += ["--window", f"{_iso(window.start_us)}/{_iso(window.end_us)}"]
    done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    return done.returncode, json.loads(done.stdout)


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / SECOND_US, UTC).isoformat()


def test_an_untouched_day_has_no_finding(lived: tuple[Day, Clients], tmp_path: Path) -> None:
    day, _ = lived
    log = tmp_path / "audit.log"
    log.write_bytes(b"\n".join(day.vault) + b"\n")

    code, said = _verify(lived, log)

    assert said["findings"] == []
    assert code == ExitCode.OK


def test_the_day_had_every_kind_of_use(lived: tuple[Day, Clients]) -> None:
    entries = [json.loads(line) for line in lived[0].vault]
    done = {
        (
            ((entry.get("auth") or {}).get("metadata") or {}).get("role_name", ""),
            entry["request"]["operation"],
            entry["request"]["path"],
        )
        for entry in entries
        if entry["type"] == "response" and not entry.get("error")
    }

    assert done >= _USES
    assert any(path.startswith("keyturn-kv/destroy/") for _, _, path in done)
    assert any(operation == "delete" for _, operation, _ in done)


def test_one_theft_after_the_day_is_found_with_its_line(lived: tuple[Day, Clients]) -> None:
    day, clients = lived
    thief = Thief(clients)
    thief.record(thief.token_of("root"))

    code, said = _verify(lived, clients.stack.openbao.audit_log)

    found = {finding["code"]: finding for finding in said["findings"]}
    assert code == ExitCode.PROBLEMS_FOUND
    assert set(found) == {
        *("ROOT_TOKEN_USED", "ROOT_TOKEN_MADE"),
        *("RECORDS_LISTED_BY_OTHER", "RECORD_READ_BY_OTHER"),
    }
    lines = [int(place.rpartition(":")[2]) for place in found["RECORD_READ_BY_OTHER"]["lines"]]
    assert all(line > len(day.vault) for line in lines)
