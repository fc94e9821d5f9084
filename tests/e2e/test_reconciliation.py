"""Keys that are used beside Keyturn are found by what OpenAI counted, and nobody else is."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import aiohttp
import grpc
import pytest

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from keyturn_cli.standin.standin_keys import KeyKind, make_admin_key, make_key, openai_key_id
from svc_runtime.error_details import field_violation_of
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.asking import SERVED, ask, ask_often
from tests.e2e.breaking import until
from tests.e2e.clients import Clients
from tests.e2e.log_check import faults_of, faults_of_logs
from tests.e2e.owners import Owner, alice, give_key, make_team, sign_in
from tests.e2e.reconciliation_job import (
    ADMIN_KEY,
    GATEWAY,
    SETTINGS,
    bring_admin_key,
    identified_key,
    job_log,
    notices,
    reconcile,
    standin,
    use_elsewhere,
)
from tests.e2e.stack_process import keyturn
from tests.live_files import whole_lines

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(name="reconciled", scope="module")
def _reconciled(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes, transcript: list[str]
) -> Iterator[Clients]:
    """Clients of a stack that reconciles, also the day that goes on."""
    home = tmp_path_factory.mktemp("reconciled") / "home"
    stack = LocalStack(home, Upstream(None, canary_key, "standin"))
    stack.variant = Variant(more=SETTINGS)
    with stack:
        clients = Clients(stack, transcript)
        make_team(clients, "operators", "olga")
        make_team(clients, "operators-admins", "olga")
        yield clients
    assert faults_of_logs(stack.layout) == []


@pytest.fixture(name="admin", scope="module")
def _admin(reconciled: Clients) -> Owner:
    """Return who brings the admin key, which works."""
    olga = sign_in(reconciled, "olga")
    asyncio.run(bring_admin_key(olga, KeyKind.WORKING))
    return olga


async def test_a_key_that_is_used_through_keyturn_only_gives_no_finding(
    reconciled: Clients, admin: Owner
) -> None:
    del admin
    key = await identified_key(reconciled, "honest")
    assert await ask_often(reconciled, key.name, 3) == [SERVED] * 3

    run = await reconcile(reconciled)

    found = run.of(key.name)
    assert run.exit_code == 0
    assert list(faults_of(run.stderr.splitlines(), "gateway-svc")) == []
    assert found["verdict"] == "matches"
    # One more than went through Keyturn: the one by which the key was verified.
    assert found["openai"]["requests"] == found["keyturn"]["requests"] + 1 == 4
    assert notices(reconciled, "used_elsewhere", key.name) == []


async def test_use_of_a_copy_is_found_and_the_owner_and_security_are_told(
    reconciled: Clients, admin: Owner
) -> None:
    del admin
    key = await identified_key(reconciled, "copied")
    assert await ask(reconciled, key.name) == SERVED
    await use_elsewhere(reconciled, key, 12)

    run = await reconcile(reconciled)
    table = await reconcile(reconciled, as_json=False)

    assert (run.exit_code, table.exit_code) == (3, 3)
    assert run.of(key.name)["verdict"] == "used_elsewhere"
    assert run.of(key.name)["openai"]["requests"] == 14
    assert [line for line in table.stdout.splitlines() if key.name in line and "elsewhere" in line]
    told = notices(reconciled, "used_elsewhere", key.name)
    assert {entry["level"] for entry in told if entry["event"] == "used_elsewhere"} == {"warning"}
    ids = {e["notification"] for e in told if e["event"] == "notification"}
    assert len(ids) == 1


async def test_each_question_is_one_lease_one_read_and_one_decrypt_in_vaults_audit_log(
    reconciled: Clients, admin: Owner
) -> None:
    del admin
    await identified_key(reconciled, "audited")
    log = reconciled.stack.layout.openbao_dir / "audit.log"
    seen = len(whole_lines(log))
    assert (await reconcile(reconciled)).exit_code in {0, 3}

    entries = [json.loads(line) for line in whole_lines(log)[seen:]]
    asked = [
        (entry["request"]["path"], entry["request"]["headers"])
        for entry in entries
        if entry["type"] == "request"
        and entry["request"].get("headers", {}).get("x-keyturn-key") == [ADMIN_KEY]
        and entry["request"]["headers"].get("x-keyturn-lease")
    ]
    leases = {headers["x-keyturn-lease"][0] for _, headers in asked}
    by_path = {path: [h for p, h in asked if p == path] for path, _ in asked}
    assert set(by_path) == {
        f"keyturn-kv/data/{ADMIN_KEY}",
        "keyturn-kv/data/operator/controls",
        "keyturn-transit/decrypt/openai",
    }
    for headers in by_path.values():
        assert sorted(h["x-keyturn-lease"][0] for h in headers) == sorted(leases)
        assert {h["x-keyturn-app"][0] for h in headers} == {GATEWAY}
        assert len({h["x-keyturn-request-id"][0] for h in headers}) == len(leases)


async def test_keys_without_an_id_are_told_and_a_rotation_needs_a_new_one(
    reconciled: Clients, admin: Owner
) -> None:
    del admin
    key = await identified_key(reconciled, "rotated")
    other = await give_key(reconciled, "unknown")
    before = await reconcile(reconciled)
    await alice(reconciled).rotate_key(key.name, make_key())
    await alice(reconciled).verified(key.name)
    after = await reconcile(reconciled)

    assert other.name in before.report["uncovered_keys"]
    assert key.name not in before.report["uncovered_keys"]
    assert key.name in after.report["uncovered_keys"]
    assert all(key.name not in one["keys"] for one in after.report["keys"])


async def test_operators_learn_of_every_key_without_an_id_whoever_owns_it(
    reconciled: Clients, admin: Owner
) -> None:
    del admin
    known, unknown = await identified_key(reconciled, "known"), await give_key(reconciled, "not")
    settings = reconciled.stack.layout.service_settings("keyvault-svc")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "keyvault_svc", "coverage", "--config", str(settings), "--json"),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    stdout, stderr = await process.communicate()
    reconciled.keep(stdout.decode(), stderr.decode())

    told = json.loads(stdout)
    assert process.returncode == 3
    assert unknown.name in told["uncovered_keys"]
    assert not {known.name, ADMIN_KEY} & set(told["uncovered_keys"])
    logged = [line for line in stderr.decode().splitlines() if not line.startswith("looking: ")]
    assert list(faults_of(logged, "keyvault-svc")) == []


async def test_more_keys_than_openai_tells_on_a_page_are_all_compared(
    reconciled: Clients, admin: Owner
) -> None:
    del admin
    keys = [await identified_key(reconciled, f"page-{number}") for number in range(25)]
    today = datetime.now(UTC).date()
    async with aiohttp.ClientSession(standin(reconciled)) as http:
        for key in keys:
            key_id = openai_key_id(key.api_key.expose().decode())
            query = {"api_key_id": key_id, "kind": "images", "requests": "77"}
            async with http.post("/standin/usage", params=query) as response:
                assert response.status == 200

    run = await reconcile(reconciled, "--day", today.isoformat())

    assert {run.of(key.name)["openai"]["requests"] for key in keys} == {78}
    assert {run.of(key.name)["verdict"] for key in keys} == {"used_elsewhere"}


@pytest.mark.parametrize("days", [1, -400], ids=["not over", "too long ago"])
async def test_a_day_that_cannot_be_compared_is_refused(
    reconciled: Clients, admin: Owner, days: int
) -> None:
    del admin
    day: date = datetime.now(UTC).date() + timedelta(days=days)

    run = await reconcile(reconciled, "--day", day.isoformat())

    assert (run.exit_code, run.stdout) == (1, "")
    assert "date: must have ended" in run.stderr


async def test_apps_cannot_use_the_admin_key_whatever_is_granted(
    reconciled: Clients, admin: Owner
) -> None:
    await admin.create_grant(ADMIN_KEY)

    assert await ask(reconciled, ADMIN_KEY) == "NOT_GRANTED"


@pytest.mark.parametrize(
    ("name", "is_admin_key"), [("users/alice/keys/admin", True), (ADMIN_KEY, False)]
)
async def test_admin_keys_go_in_under_their_one_name_and_nothing_else_does(
    reconciled: Clients, admin: Owner, name: str, *, is_admin_key: bool
) -> None:
    person = admin if name == ADMIN_KEY else alice(reconciled)
    key = make_admin_key() if is_admin_key else make_key()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await person.create_key(name, key)

    violation = field_violation_of(refused.value)
    assert violation is not None
    assert violation[0] == "api_key"


async def test_an_admin_key_that_openai_refuses_is_told_and_marked(
    reconciled: Clients, admin: Owner
) -> None:
    await identified_key(reconciled, "refused")
    # Its verification is the first of the two uses that it has, and a question the second.
    brought = await bring_admin_key(admin, KeyKind.SOONREVOKED)
    assert brought.state == key_pb.KEY_STATE_ACTIVE

    run = await reconcile(reconciled)
    await until(
        lambda: admin.get_key(ADMIN_KEY), lambda key: key.state == key_pb.KEY_STATE_REJECTED
    )
    again = await reconcile(reconciled)

    assert (run.exit_code, run.stdout) == (1, "")
    assert "OpenAI refused the admin key" in run.stderr
    assert (again.exit_code, again.stdout) == (1, "")
    assert "KEY_REJECTED_UPSTREAM" in again.stderr or "OpenAI refused" in again.stderr
    await bring_admin_key(admin, KeyKind.WORKING)


async def test_an_admin_key_without_the_permission_never_serves(
    reconciled: Clients, admin: Owner
) -> None:
    brought = await bring_admin_key(admin, KeyKind.FORBIDDEN)

    run = await reconcile(reconciled)

    assert brought.state == key_pb.KEY_STATE_PENDING
    assert brought.verification.outcome == key_pb.VERIFICATION_OUTCOME_NO_PERMISSION
    assert run.exit_code == 1
    assert "KEY_PENDING" in run.stderr
    await bring_admin_key(admin, KeyKind.WORKING)


async def test_audit_verify_finds_nothing_wrong_with_what_the_job_did(
    reconciled: Clients, admin: Owner
) -> None:
    del admin
    # Until now administrators set the stack up, and signed people in.
    window = f"2026-01-01T00:00:00Z/{datetime.now(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}"
    key = await identified_key(reconciled, "verified")
    assert await ask(reconciled, key.name) == SERVED
    assert (await reconcile(reconciled)).exit_code in {0, 3}
    layout = reconciled.stack.layout

    verified = await asyncio.to_thread(
        keyturn,
        *("audit", "verify", layout.openbao_dir / "audit.log", "--json", "--window", window),
        *("--service-log", layout.logs_dir / "keyvault-svc.log"),
        *("--service-log", layout.logs_dir / "gateway-svc.log"),
        *("--service-log", job_log(reconciled)),
        env_file=layout.client_env,
    )

    findings = [f for f in json.loads(verified.stdout)["findings"] if f["severity"] == "finding"]
    assert findings == []
