"""The `keyturn` command as people and scripts use it, against the running services."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from keyturn_cli.local.layout import DEMO_APP
from keyturn_cli.standin.standin_keys import KeyKind, make_key
from tests.e2e.clients import Clients, key_name
from tests.e2e.owners import alice, sign_in
from tests.e2e.stack_process import Outcome, keyturn
from tests.live_files import whole_lines

Run = Callable[..., Outcome]

NO_LIMITS = ("--app", DEMO_APP, "--model", "*", "--endpoint", "*", "--yes")


@pytest.fixture
def run(clients: Clients) -> Run:
    """Run `keyturn` with the stack's client.env; what it says goes into the transcript."""

    def run_command(*arguments: str | Path, stdin: bytes = b"", **variables: str) -> Outcome:
        env_file = clients.stack.layout.client_env
        outcome = keyturn(*arguments, env_file=env_file, stdin=stdin, **variables)
        clients.keep(outcome)
        return outcome

    return run_command


@pytest.fixture
def key_id(clients: Clients) -> Iterator[str]:
    """A name that no key has yet; its key is gone afterwards, as an owner can have 100 at most."""
    key_id = f"command-{secrets.token_hex(4)}"
    yield key_id
    with suppress(grpc.aio.AioRpcError):  # the test has deleted it, or did not get to add it
        asyncio.run(alice(clients).delete_key(key_name(key_id)))


def test_an_owner_logs_in_and_the_login_is_used(clients: Clients, tmp_path: Path) -> None:
    env_file = tmp_path / "client.env"
    lines = clients.stack.layout.client_env.read_text().splitlines(keepends=True)
    env_file.touch(mode=0o600)
    env_file.write_text("".join(line for line in lines if "KEYTURN_OWNER_TOKEN" not in line))
    password = clients.stack.layout.password_file.read_bytes()

    before = keyturn("keys", "list", env_file=env_file)
    mistyped = keyturn(*_login(), stdin=b"not the password", env_file=env_file)
    logged_in = keyturn(*_login(), "--json", stdin=password, env_file=env_file)
    after = keyturn("keys", "list", env_file=env_file)

    clients.keep(before, mistyped, logged_in, after)
    assert [o.exit_code for o in (before, mistyped, logged_in, after)] == [3, 3, 0, 0]
    told = json.loads(logged_in.stdout)
    assert (told["user"], told["token_file"]) == ("alice", str(tmp_path / "owner-token"))
    assert (tmp_path / "owner-token").stat().st_mode & 0o777 == 0o600
    assert "users/alice/keys/standin" in after.stdout


def test_a_key_lives_from_adding_to_deletion(run: Run, key_id: str) -> None:
    name = f"users/alice/keys/{key_id}"

    added = run("keys", "add", key_id, "--expires", "30d", "--json", stdin=make_key().expose())
    again = run("keys", "add", key_id, stdin=make_key().expose())
    listed = run("keys", "list", "--json")
    shown = run("keys", "show", key_id, "--json")
    rotated = run("keys", "rotate", name, "--json", stdin=make_key().expose())
    undone = run("keys", "undo-rotation", key_id, "--json")
    set_ = run("keys", "set", key_id, "--never-expires", "--assurance", "high", "--json")
    deleted = run("keys", "delete", key_id, "--yes", "--json")
    gone = run("keys", "show", key_id)

    outcomes = (added, again, listed, shown, rotated, undone, set_, deleted, gone)
    assert [o.exit_code for o in outcomes] == [0, 4, 0, 0, 0, 0, 0, 0, 4]
    assert set(_json(added)) == {
        *("name", "state", "key_version", "create_time", "rotate_time", "expire_time"),
        *("rotate_due_time", "assurance", "base_url", "limits", "verification", "incoming"),
        *("retiring", "active_grant_count", "creator", "openai_key_id"),
    }
    assert (_json(added)["name"], _json(added)["creator"]) == (name, "alice")
    assert (_json(added)["state"], _json(added)["verification"]["outcome"]) == (
        *("active", "verified"),
    )
    assert _json(shown) == _json(added)
    assert _json(shown) in _json(listed)["keys"]
    assert (_json(rotated)["key_version"], _json(rotated)["retiring"]["key_version"]) == (2, 1)
    assert (_json(undone)["key_version"], _json(undone)["retiring"]) == (1, None)
    assert (_json(added)["expire_time"] is None, _json(set_)["expire_time"]) == (False, None)
    assert _json(set_)["assurance"] == "high"
    assert (_json(deleted)["deleted"], _json(deleted)["proof"]["key"]) == (name, name)
    assert _json(deleted)["proof"]["destroyed_version_count"] > 0
    assert "KEY_EXISTS" in again.stderr
    assert "KEY_NOT_FOUND" in gone.stderr


@pytest.mark.parametrize(
    ("kind", "exit_code", "state", "outcome", "to_do"),
    [
        (KeyKind.REVOKED, 6, "rejected", "wrong_key", "keyturn keys rotate"),
        (KeyKind.BROKE, 6, "pending", "no_quota", "keyturn keys verify"),
        (KeyKind.FORBIDDEN, 6, "pending", "no_permission", "keyturn keys verify"),
        (KeyKind.FAILING, 5, "pending", "openai_unreachable", "tried again by itself"),
    ],
)
def test_a_key_that_openai_does_not_take_is_told_with_what_to_do(
    run: Run, key_id: str, kind: KeyKind, exit_code: int, state: str, outcome: str, to_do: str
) -> None:
    added = run("keys", "add", key_id, "--json", stdin=make_key(kind).expose())
    listed = run("keys", "list")

    told = _json(added)
    assert (added.exit_code, told["state"]) == (exit_code, state)
    assert told["verification"]["outcome"] == outcome
    assert to_do in added.stderr.splitlines()[-1]
    [row] = [line for line in listed.stdout.splitlines() if f"{key_id} " in line]
    assert ("rejected: rotate" if state == "rejected" else "waits: ") in row


def test_a_failed_rotation_leaves_the_old_key_serving(run: Run, key_id: str) -> None:
    run("keys", "add", key_id, stdin=make_key().expose())
    run("grants", "add", key_id, *NO_LIMITS)

    failed = run("keys", "rotate", key_id, stdin=make_key(KeyKind.REVOKED).expose())
    served = run("chat", "Hi", "--key", f"users/alice/keys/{key_id}")

    assert (failed.exit_code, served.exit_code, served.stdout) == (6, 0, "You said: Hi\n")
    assert "The old key, version 1, goes on serving." in failed.stderr


def test_a_key_is_switched_off_and_on(run: Run, key_id: str) -> None:
    run("keys", "add", key_id, stdin=make_key().expose())
    run("grants", "add", key_id, *NO_LIMITS)
    ask = ("chat", "Hi", "--key", f"users/alice/keys/{key_id}")

    off = run("keys", "disable", key_id, "--json")
    refused = run(*ask)
    verified = run("keys", "verify", key_id)
    on = run("keys", "enable", key_id, "--json")
    served = run(*ask)

    codes = [o.exit_code for o in (off, refused, verified, on, served)]
    assert codes == [0, 3, 4, 0, 0]
    assert (_json(off)["state"], _json(on)["state"]) == ("disabled", "active")
    assert "KEY_DISABLED" in refused.stderr
    assert "KEY_STATE_CONFLICT" in verified.stderr


def test_an_openai_key_is_taken_under_one_name(run: Run, key_id: str) -> None:
    api_key = make_key().expose()

    first = run("keys", "add", key_id, stdin=api_key)
    second = run("keys", "add", f"{key_id}-2", stdin=api_key)

    assert (first.exit_code, second.exit_code) == (0, 4)
    assert "KEY_DUPLICATE" in second.stderr


def test_an_owner_is_exported_and_erased(run: Run, clients: Clients, tmp_path: Path) -> None:
    person = f"leaver-{secrets.token_hex(4)}"
    token = sign_in(clients, person).token
    run_as = partial(run, KEYTURN_OWNER_TOKEN=token)
    api_keys = [make_key().expose(), make_key().expose()]
    for number, api_key in enumerate(api_keys):
        run_as("keys", "add", f"openai-{number}", stdin=api_key)
    run_as("grants", "add", "openai-0", *NO_LIMITS)
    file = tmp_path / "export.json"

    exported = run_as("owner", "export", "--output", file)
    foreign = run_as("owner", "export", "alice")
    erased = run_as("owner", "erase", "--yes", "--json")
    again = run_as("owner", "erase", "--yes", "--json")
    left = run_as("keys", "list", "--json")

    codes = [o.exit_code for o in (exported, foreign, erased, again, left)]
    names = [f"users/{person}/keys/openai-{number}" for number in range(len(api_keys))]
    export = json.loads(file.read_text())
    assert codes == [0, 3, 0, 0, 0]
    assert [entry["key"]["name"] for entry in export["keys"]] == names
    assert [len(entry["grants"]) for entry in export["keys"]] == [1, 0]
    assert not any(api_key.decode() in file.read_text() for api_key in api_keys)
    assert [proof["key"] for proof in _json(erased)["proofs"]] == names
    assert {notice["place"] for notice in _json(erased)["retention_notices"]} == {
        *("vault_backups", "vault_audit_log", "service_logs", "operator_controls"),
    }
    assert (_json(again)["proofs"], _json(left)["keys"]) == ([], [])


def test_a_grant_lets_an_app_in_and_its_revocation_keeps_it_out(run: Run, key_id: str) -> None:
    run("keys", "add", key_id, stdin=make_key().expose())
    ask = ("chat", "Hi", "--key", f"users/alice/keys/{key_id}")

    before = run(*ask)
    granted = run("grants", "add", key_id, *NO_LIMITS, "--expires", "1h", "--json")
    during = run(*ask)
    listed = run("grants", "list", key_id, "--json")
    revoked = run("grants", "revoke", _json(granted)["name"], "--json")
    after = run(*ask)

    codes = [o.exit_code for o in (before, granted, during, listed, revoked, after)]
    assert codes == [3, 0, 0, 0, 0, 3]
    assert ("NOT_GRANTED" in before.stderr, "GRANT_REVOKED" in after.stderr) == (True, True)
    assert during.stdout == "You said: Hi\n"
    assert _json(listed) == {"grants": [_json(granted)]}
    assert {name: _json(granted)[name] for name in ("app", "models", "endpoints", "state")} == {
        "app": DEMO_APP,
        "models": ["*"],
        "endpoints": ["*"],
        "state": "active",
    }
    assert (_json(revoked)["state"], _json(revoked)["revoker"]) == ("revoked", "alice")


@pytest.mark.parametrize("how", [(), ("--no-stream",)], ids=["streamed", "whole"])
def test_the_trail_of_a_chat_is_complete(run: Run, clients: Clients, how: tuple[str, ...]) -> None:
    request_id = uuid.uuid4().hex

    answered = run("chat", "Who?", "--receipt", "--request-id", request_id, *how)
    trail = run("audit", "trail", request_id, "--json")
    for_people = run("audit", "trail", request_id)

    receipt = dict(line.split(maxsplit=1) for line in answered.stderr.splitlines())
    told = _json(trail)
    steps = [step["step"] for step in told["steps"]]
    assert (answered.exit_code, answered.stdout) == (0, "You said: Who?\n")
    assert (trail.exit_code, told["verdict"]) == (0, "complete")
    assert (told["bad_vault_line_count"], told["bad_service_line_count"]) == (0, 0)
    # The settlement comes later, in a batch; the controls are read beside the record.
    assert "controls read" in steps
    assert [step for step in steps if step not in {"settle", "controls read"}] == [
        *("app -> gateway", "lease", "KV read", "release", "opening", "decrypt", "OpenAI")
    ]
    assert {step["lease"] for step in told["steps"]} == {receipt["lease"]}
    assert {step["key"] for step in told["steps"]} == {clients.stack.key_name}
    assert "Complete chain: exactly one KV read by keyvault-svc" in for_people.stdout


def test_the_trail_of_an_owner_s_action_opens_no_key(
    run: Run, clients: Clients, key_id: str
) -> None:
    run("keys", "add", key_id, stdin=make_key().expose())
    operations = map(json.loads, whole_lines(clients.stack.openbao.audit_log))
    # Its creation; others looked how its verification went, or reported that.
    request_id = next(
        operation["request"]["headers"]["x-keyturn-request-id"][0]
        for operation in operations
        if operation["request"]["path"] == f"keyturn-kv/data/users/alice/keys/{key_id}"
        and operation["request"]["operation"] == "create"
    )

    trail = run("audit", "trail", request_id, "--json")

    assert (trail.exit_code, _json(trail)["verdict"]) == (0, "owner action")
    assert "decrypt" not in {step["step"] for step in _json(trail)["steps"]}


def test_a_request_that_nobody_made_has_no_trail(run: Run) -> None:
    trail = run("audit", "trail", uuid.uuid4().hex, "--json")

    assert (trail.exit_code, _json(trail)["verdict"], _json(trail)["steps"]) == (7, "not found", [])


def test_the_doctor_finds_a_healthy_stack_healthy(run: Run) -> None:
    examined = run("doctor", "--json")

    found = _json(examined)
    assert {check["state"] for check in found["checks"]} == {"ok"}, found
    assert (examined.exit_code, found["problem_count"]) == (0, 0)


def test_the_doctor_says_what_to_mend(run: Run, clients: Clients, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(clients.stack.openbao.ca_file.read_bytes())

    examined = run(
        *("doctor", "--json"),
        KEYTURN_CA=str(stranger),
        KEYTURN_OWNER_TOKEN="not.a.token",
        VAULT_ADDR="https://127.0.0.1:1",
    )

    problems = {c["name"]: c for c in _json(examined)["checks"] if c["state"] == "problem"}
    assert (examined.exit_code, _json(examined)["problem_count"]) == (7, len(problems))
    assert set(problems) >= {"gateway gRPC", "gateway HTTPS", "owner port", "owner token", "Vault"}
    assert all(check["mend"] for check in problems.values())


@pytest.mark.parametrize(
    ("arguments", "variables", "exit_code", "told"),
    [
        (("chat", "Hi"), {"KEYTURN_GRPC": "127.0.0.1:1"}, 5, "does not answer"),
        (("keys", "list"), {"KEYTURN_KEYS_GRPC": "127.0.0.1:1"}, 5, "does not answer"),
        (("keys", "list", "bob"), {}, 3, "NOT_THE_OWNER"),
        (("keys", "show", "nothing"), {}, 4, "KEY_NOT_FOUND"),
        (("keys", "list"), {"KEYTURN_OWNER_TOKEN": "no token"}, 2, "KEYTURN_OWNER_TOKEN"),
        (("chat", "Hi", "--key", "../../etc"), {}, 2, "key"),
        (("chat", "Hi", "--model", "error-500"), {}, 5, "OpenAI failed: HTTP 500"),
        (("chat", "Hi", "--model", "error-400"), {}, 6, "OpenAI refused the request: HTTP 400"),
        (("chat", "Hi", "--model", "error-429"), {}, 6, "OpenAI refused the request: HTTP 429"),
    ],
    ids=[
        *("gateway down", "key service down", "not the owner", "no such key", "bad token"),
        *("bad name", "OpenAI fails", "OpenAI refuses", "OpenAI limits"),
    ],
)
def test_each_failure_has_its_exit_code_and_its_reason(
    run: Run, arguments: tuple[str, ...], variables: dict[str, str], exit_code: int, told: str
) -> None:
    failed = run(*arguments, **variables)

    assert (failed.exit_code, failed.stdout) == (exit_code, "")
    assert told in failed.stderr
    assert failed.stderr.startswith("error: ")


def test_a_forged_token_is_refused(run: Run, clients: Clients) -> None:
    head, _, signature = clients.env["KEYTURN_OWNER_TOKEN"].rpartition(".")

    refused = run("keys", "list", KEYTURN_OWNER_TOKEN=f"{head}.{signature[::-1]}")

    assert (refused.exit_code, "CALLER_UNVERIFIED" in refused.stderr) == (3, True)


def test_a_key_that_openai_refuses_is_told_apart_from_a_refusal(run: Run, key_id: str) -> None:
    run("keys", "add", key_id, stdin=make_key(KeyKind.SOONREVOKED).expose())
    run("grants", "add", key_id, *NO_LIMITS)

    failed = run("chat", "Hi", "--key", f"users/alice/keys/{key_id}")

    assert (failed.exit_code, "KEY_REJECTED_UPSTREAM" in failed.stderr) == (6, True)


def test_a_key_as_an_argument_is_refused_and_not_repeated(run: Run) -> None:
    api_key = make_key().expose().decode()

    refused = run("keys", "add", "openai", api_key)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert api_key not in refused.stderr


def _login() -> tuple[str, ...]:
    return ("login", "--user", "alice", "--password-stdin")


def _json(outcome: Outcome) -> Any:  # noqa: ANN401 - JSON of any form
    return json.loads(outcome.stdout)
