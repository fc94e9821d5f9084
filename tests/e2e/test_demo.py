"""`keyturn local demo`: the main job, watched by a newcomer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keyturn_cli.standin.standin_keys import make_key
from tests.e2e.stack_process import (
    Outcome,
    keyturn,
    pid_files,
    processes_of,
    saw_key,
    standin,
)

STEPS = [
    "The owner logs in and gives a key into custody",
    "The owner grants one app the use of it",
    "The app calls OpenAI over gRPC, without ever seeing the key",
    "The same, streamed",
    "The same through the unmodified openai SDK, over HTTP",
    "Another app is refused",
    "The owner revokes the grant; it holds from the next call on",
    "Vault's own audit log says who used the key",
    "All logs are verified: every key was used within the rules",
]
A_KEY = re.compile(r"sk-[A-Za-z0-9_-]{8,}")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def demo(home: Path) -> Outcome:
    return keyturn("local", "demo", "--home", home)


def test_the_demo_shows_every_step_and_succeeds(demo: Outcome) -> None:
    assert demo.exit_code == 0, demo.said
    assert re.findall(r"^\d\. (.+)$", demo.stdout, re.MULTILINE) == STEPS


def test_the_demo_is_served_three_times_and_refused_twice(demo: Outcome) -> None:
    assert re.findall(r"^  You said: .+$", demo.stdout, re.MULTILINE) == [
        "  You said: Who am I?",
        "  You said: Count from one to five, please",
        "  You said: Say hello to the SDK",
    ]
    assert re.findall(r"\(([A-Z_]+), request id", demo.stdout) == ["NOT_GRANTED", "GRANT_REVOKED"]


def test_the_demo_prints_the_audit_chain_and_searches_it_for_the_key(demo: Outcome) -> None:
    assert "Complete chain: exactly one KV read by keyvault-svc and one decrypt by" in demo.stdout
    assert re.search(r"0 occurrences in the \d+ lines of Vault's audit log", demo.stdout)


def test_the_demo_verifies_the_logs_of_everything_and_finds_nothing(demo: Outcome) -> None:
    verdict = demo.stdout.partition("$ keyturn audit verify\n")[2].splitlines()

    assert verdict[0].strip() == (
        "Nothing was found: by these logs, every key was used within the rules."
    )
    assert re.search(r"Their \d\d lines of evidence are whole, by \d signatures", demo.stdout)


def test_the_demo_shows_no_key(demo: Outcome) -> None:
    assert not A_KEY.search(demo.said)


def test_the_demo_leaves_nothing_running(home: Path, demo: Outcome) -> None:
    assert demo.stdout.endswith(f"The demo's files are in {home}.\n")
    assert (processes_of(home), pid_files(home)) == ([], [])


def test_the_demo_uses_an_own_key_in_the_folder_of_the_demo_before(
    home: Path, demo: Outcome, tmp_path: Path
) -> None:
    assert demo.exit_code == 0
    api_key, record = make_key(), tmp_path / "requests.jsonl"
    with standin(record) as base_url:
        again = keyturn(
            *("local", "demo", "--home", home),
            OPENAI_API_KEY=api_key.expose().decode(),
            KEYTURN_OPENAI_BASE_URL=base_url,
        )

    assert again.exit_code == 0, again.said
    assert saw_key(record, api_key)
    assert not A_KEY.search(again.said)
    assert processes_of(home) == []


@pytest.mark.parametrize("file", ["letter.txt", "ports.json"], ids=["of others", "of `local up`"])
def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text("{}")

    refused = keyturn("local", "demo", "--home", tmp_path)

    assert refused.exit_code == 5
    assert "holds something else; choose another folder" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_text() == "{}"
