"""`keyturn local up` and `down`: one stack that is started again and again, as its user would."""

from __future__ import annotations

import json
import os
import signal
import ssl
import stat
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.layout import DEMO_APP
from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.stack_process import (
    Ended,
    LocalUp,
    Outcome,
    Process,
    keyturn,
    processes_of,
    saw_key,
    sourced,
    standin,
)

VARIABLES = {
    *("KEYTURN_GRPC", "KEYTURN_HTTP", "KEYTURN_KEYS_GRPC"),
    *("KEYTURN_CA", "KEYTURN_CERT", "KEYTURN_CERT_KEY"),
    *("KEYTURN_APP_TOKEN", "KEYTURN_OWNER_TOKEN", "KEYTURN_KEY"),
    *("VAULT_ADDR", "VAULT_CACERT", "KEYTURN_VAULT_AUDIT_LOG"),
    *("KEYTURN_SIGNING_KEYS", "KEYTURN_AUDIT_WINDOWS"),
}
PROGRAMS = {"openbao", "openai-standin", "keyvault-svc", "gateway-svc", "local"}
OWN, KEPT = "users/alice/keys/openai", "users/alice/keys/kept"
FIRST_KEY, SECOND_KEY = make_key(), make_key()  # OPENAI_API_KEY of one run, and of the next
QUESTION = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


@dataclass(frozen=True)
class FirstRun:
    """A stack with the stand-in, on a chosen port, ended by `keyturn local down`."""

    home: Path
    http_port: int
    env: dict[str, str]
    env_mode: int
    chat: Outcome
    doctor: Outcome
    status: Outcome
    second_up: Outcome
    down: Outcome
    ended: Ended


@dataclass(frozen=True)
class LaterRun:
    """A stack with a key of the user's own and an upstream of their own."""

    env: dict[str, str]
    keys: dict[str, int]
    supervisor: int
    processes: list[Process]
    answers: dict[str, Outcome]
    answer_to_token: str
    was_own_key_used: bool
    ended: Ended


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Another stand-in: its base URL and its record."""
    record = tmp_path_factory.mktemp("upstream") / "requests.jsonl"
    with standin(record) as base_url:
        yield base_url, record


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    home = tmp_path_factory.mktemp("local") / "home of alice"
    [http_port] = free_ports(1)
    with LocalUp(home, "--port", f"gateway-http={http_port}") as up:
        up.wait_for()
        env, env_mode = sourced(up.env_file), stat.S_IMODE(up.env_file.stat().st_mode)
        chat = keyturn("chat", "Hello", env_file=up.env_file)
        doctor = keyturn("doctor", env_file=up.env_file)
        status = keyturn("local", "status", "--home", home, "--json")
        second_up = keyturn("local", "up", "--home", home)
        _make_it_ones_own(up.env_file)
        processes = processes_of(home)
        down = keyturn("local", "down", "--home", home)
        ended = up.end_of(processes)
    return FirstRun(home, http_port, env, env_mode, chat, doctor, status, second_up, down, ended)


@pytest.fixture(scope="module")
def second_run(first_run: FirstRun, upstream: tuple[str, Path]) -> LaterRun:
    """The same folder with an own key and an own upstream, ended by Ctrl-C."""
    with _up_with_own_key(first_run.home, FIRST_KEY, upstream) as up:
        up.wait_for()
        answers = {
            "own key": keyturn("chat", "Hi", env_file=up.env_file),
            "kept key": keyturn("chat", "Hi", "--key", KEPT, env_file=up.env_file),
            "owner token of before": keyturn(
                "keys",
                "list",
                env_file=up.env_file,
                KEYTURN_OWNER_TOKEN=first_run.env["KEYTURN_OWNER_TOKEN"],
            ),
        }
        answer_to_token = _ask_over_http(first_run.env, KEPT)
        env, keys, processes = sourced(up.env_file), _key_versions(up), processes_of(up.home)
        was_used = saw_key(upstream[1], FIRST_KEY)
        up.press_ctrl_c()
        ended = up.end_of(processes)
    return LaterRun(env, keys, up.pid, processes, answers, answer_to_token, was_used, ended)


@pytest.fixture(scope="module")
def third_run(first_run: FirstRun, second_run: LaterRun, upstream: tuple[str, Path]) -> LaterRun:
    """The same once more, with another key of one's own, ended by SIGKILL."""
    with _up_with_own_key(first_run.home, SECOND_KEY, upstream) as up:
        up.wait_for()
        answers = {"own key": keyturn("chat", "Hi", env_file=up.env_file)}
        answer_to_token = _ask_over_http(second_run.env, OWN)
        env, keys, processes = sourced(up.env_file), _key_versions(up), processes_of(up.home)
        was_used = saw_key(upstream[1], SECOND_KEY)
        os.kill(up.pid, signal.SIGKILL)
        ended = up.end_of(processes)
    return LaterRun(env, keys, up.pid, processes, answers, answer_to_token, was_used, ended)


def test_up_tells_how_to_use_the_stack_and_how_to_stop_it(first_run: FirstRun) -> None:
    said = first_run.ended.outcome.stdout

    assert f"source '{first_run.home}/client.env'" in said
    assert 'keyturn chat "Hello"' in said
    assert f"keyturn local down --home '{first_run.home}'" in said


def test_a_shell_reads_all_that_a_client_needs_from_a_file_of_its_owner(
    first_run: FirstRun,
) -> None:
    assert {name for name, value in first_run.env.items() if value} >= VARIABLES
    assert first_run.env_mode == 0o600


def test_the_demo_app_can_call_at_once(first_run: FirstRun) -> None:
    assert first_run.chat == Outcome(0, "You said: Hello\n")


def test_a_port_is_taken_where_it_is_asked_for(first_run: FirstRun) -> None:
    assert first_run.env["KEYTURN_HTTP"] == f"https://127.0.0.1:{first_run.http_port}"


def test_status_tells_what_runs_and_where(first_run: FirstRun) -> None:
    told = json.loads(first_run.status.stdout)
    assert (first_run.status.exit_code, told["up"]) == (0, True)
    assert set(told["processes"]) == PROGRAMS
    assert told["ports"]["gateway-http"] == first_run.http_port


def test_a_second_up_in_the_same_folder_is_refused(first_run: FirstRun) -> None:
    assert first_run.second_up.exit_code == 5
    assert "the local stack: already runs as process" in first_run.second_up.stderr


def test_down_stops_the_stack_from_elsewhere(first_run: FirstRun) -> None:
    assert first_run.down == Outcome(0, "stopped: local\n")
    assert first_run.ended.outcome.exit_code == 0
    assert first_run.ended.outcome.stdout.endswith("stopped\n")


def test_ctrl_c_stops_the_stack(second_run: LaterRun) -> None:
    assert second_run.ended.outcome.exit_code == 0
    assert second_run.ended.outcome.stdout.endswith("stopped\n")


def test_nothing_stays_behind_whichever_way_it_ends(
    first_run: FirstRun, second_run: LaterRun, third_run: LaterRun
) -> None:
    assert [run.ended.survivors for run in (first_run, second_run, third_run)] == [[], [], []]
    assert [run.ended.pid_files for run in (first_run, second_run)] == [[], []]
    assert third_run.ended.outcome.exit_code == -signal.SIGKILL


def test_the_next_up_has_the_addresses_of_the_first(
    first_run: FirstRun, second_run: LaterRun, third_run: LaterRun
) -> None:
    addresses = ("KEYTURN_GRPC", "KEYTURN_HTTP", "KEYTURN_KEYS_GRPC", "VAULT_ADDR")

    for run in (second_run, third_run):
        assert [run.env[name] for name in addresses] == [first_run.env[n] for n in addresses]


def test_the_next_up_has_the_keys_and_grants_of_the_first(second_run: LaterRun) -> None:
    assert second_run.answers["kept key"] == Outcome(0, "You said: Hi\n")


def test_a_seeded_key_that_was_deleted_does_not_come_back(
    second_run: LaterRun, third_run: LaterRun
) -> None:
    assert set(second_run.keys) == set(third_run.keys) == {KEPT, OWN}


def test_tokens_of_before_are_still_good(second_run: LaterRun) -> None:
    assert second_run.answers["owner token of before"].exit_code == 0
    assert second_run.answer_to_token == "You said: Hi"


def test_an_own_key_calls_an_own_upstream(second_run: LaterRun) -> None:
    assert second_run.env["KEYTURN_KEY"] == OWN
    assert second_run.answers["own key"] == Outcome(0, "You said: Hi\n")
    assert second_run.was_own_key_used


def test_another_own_key_replaces_the_one_before(second_run: LaterRun, third_run: LaterRun) -> None:
    assert (second_run.keys[OWN], third_run.keys[OWN]) == (1, 2)
    assert third_run.answers["own key"] == Outcome(0, "You said: Hi\n")
    assert third_run.was_own_key_used


def test_no_child_inherits_the_own_key(second_run: LaterRun, third_run: LaterRun) -> None:
    for run, api_key in ((second_run, FIRST_KEY), (third_run, SECOND_KEY)):
        children = [process for process in run.processes if process.pid != run.supervisor]
        assert len(children) == len(PROGRAMS - {"local", "openai-standin"})
        for child in children:
            assert b"OPENAI_" not in child.environment
            assert api_key.expose() not in child.environment + child.command_line


def test_up_says_no_key(second_run: LaterRun, third_run: LaterRun) -> None:
    for run, api_key in ((second_run, FIRST_KEY), (third_run, SECOND_KEY)):
        assert api_key.expose().decode() not in run.ended.outcome.said


def test_a_service_that_dies_ends_the_stack_and_is_told_with_its_last_lines(
    first_run: FirstRun, third_run: LaterRun
) -> None:
    del third_run  # its supervisor was killed; the folder must serve again all the same
    with LocalUp(first_run.home) as up:
        up.wait_for()
        processes = processes_of(up.home)
        [gateway] = [p for p in processes if b"gateway_svc" in p.command_line]
        os.kill(gateway.pid, signal.SIGKILL)
        ended = up.end_of(processes)

    told = ended.outcome.stdout.partition("error: ")[2].splitlines()
    assert ended.outcome.exit_code == 5
    assert told[0].startswith("gateway-svc has ended. The end of")
    assert any('"event": "serving"' in line for line in told)
    assert (ended.survivors, ended.pid_files) == ([], [])


def test_the_logs_of_all_runs_show_ordinary_use_only(
    first_run: FirstRun, third_run: LaterRun
) -> None:
    verified = keyturn("audit", "verify", env_file=first_run.home / "client.env")

    assert first_run.doctor.exit_code == third_run.answers["own key"].exit_code == 0
    assert verified.stdout == (
        "Nothing was found: by these logs, every key was used within the rules.\n"
    )
    assert verified.exit_code == 0


def _make_it_ones_own(env_file: Path) -> None:
    """Delete the seeded key, and keep another that the demo app may use."""
    app = ("--app", DEMO_APP, "--model", "*", "--endpoint", "*", "--yes")
    for arguments, stdin in (
        (("keys", "add", "kept", "--stdin"), make_key().expose()),
        (("grants", "add", "kept", *app), b""),
        (("keys", "delete", "standin", "--yes"), b""),
    ):
        done = keyturn(*arguments, env_file=env_file, stdin=stdin)
        assert done.exit_code == 0, done.said


def _up_with_own_key(home: Path, api_key: SecretBytes, upstream: tuple[str, Path]) -> LocalUp:
    return LocalUp(
        home,
        OPENAI_API_KEY=api_key.expose().decode(),
        KEYTURN_OPENAI_BASE_URL=upstream[0],
        OPENAI_BASE_URL="https://127.0.0.1:1/nobody",
    )


def _key_versions(up: LocalUp) -> dict[str, int]:
    listed = keyturn("keys", "list", "--json", env_file=up.env_file)
    return {key["name"]: key["key_version"] for key in json.loads(listed.stdout)["keys"]}


def _ask_over_http(env: dict[str, str], key: str) -> str:
    """Ask with the app's token of *env*, and return the answer's text."""
    request = urllib.request.Request(  # noqa: S310 - the URL is the stack's own
        f"{env['KEYTURN_HTTP']}/v1/chat/completions",
        data=json.dumps(QUESTION).encode(),
        headers={
            "authorization": f"Bearer {env['KEYTURN_APP_TOKEN']}",
            "content-type": "application/json",
            "x-keyturn-key": key,
        },
    )
    tls = ssl.create_default_context(cafile=env["KEYTURN_CA"])
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
    )
    with opener.open(request, timeout=10) as response:
        return str(json.load(response)["choices"][0]["message"]["content"])
