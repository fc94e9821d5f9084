"""The programs of `examples/`, run as an app developer runs them, against the local stack."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.breaking import log_lines
from tests.e2e.clients import Clients
from tests.e2e.example_programs import Examples, build_go_program, generate_python_stubs
from tests.e2e.owners import OwnedKey, give_key, keep_key
from tests.e2e.stream_control import standin

QUESTION = 'one "two"'
ANSWER = 'You said: one "two"'
CHAT = ("POST", "/v1/chat/completions")
PYTHON_GRPC = "python-grpc/chat_stream.py"


def _node(program: str, *values: object) -> ParameterSet:
    return pytest.param(program, *values, marks=pytest.mark.node)


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "examples"))


@pytest.fixture(scope="module")
def ungranted(clients: Clients) -> OwnedKey:
    """A key that works, granted to nobody."""
    return asyncio.run(keep_key(clients, "examples-kept"))


@pytest.fixture(scope="module")
def examples(clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """The examples, with stubs made by the script that app developers would run."""
    stubs = tmp_path_factory.mktemp("stubs")
    generate_python_stubs(stubs)
    return Examples(clients, stubs)


@pytest.fixture(scope="module")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go example, built from a copy, with stubs made by its own script."""
    return build_go_program(tmp_path_factory.mktemp("go") / "go-grpc")


@pytest.fixture
def token_file(clients: Clients, tmp_path: Path) -> Path:
    """The app's token, as a file that only the app can read."""
    file = tmp_path / "app.token"
    file.touch(mode=0o600)
    file.write_text(clients.env["KEYTURN_APP_TOKEN"] + "\n", encoding="ascii")
    return file


@pytest.mark.parametrize("program", ["python-openai/chat.py", _node("node-openai/chat.js")])
async def test_a_question_is_answered_with_its_receipt(
    examples: Examples, key: OwnedKey, token_file: Path, program: str
) -> None:
    files: dict[str, str | Path] = {
        "KEYTURN_APP_TOKEN_FILE": token_file,
        "KEYTURN_APP_TOKEN": "unused",
    }
    ended = await examples.run(key, program, QUESTION, **files)

    assert (ended.code, ended.printed) == (0, ANSWER + "\n"), ended.complaint
    assert f"x-keyturn-key: {key.name}" in ended.complaint
    assert ended.sent == [CHAT]


async def test_curl_gets_the_answer_as_openai_wrote_it(
    examples: Examples, key: OwnedKey, token_file: Path
) -> None:
    files: dict[str, str | Path] = {
        "KEYTURN_APP_TOKEN_FILE": token_file,
        "KEYTURN_APP_TOKEN": "unused",
    }
    ended = await examples.run(key, "curl/chat.sh", 'a\t"b\\\n', **files)

    assert ended.code == 0, ended.complaint
    answer = json.loads(ended.printed)
    assert answer["choices"][0]["message"]["content"] == 'You said: a\t"b\\\n'
    assert ended.sent == [CHAT]


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("python-openai/stream.py", []),
        (PYTHON_GRPC, []),
        ("curl/chat.sh", ["--stream"]),
        _node("node-openai/stream.js", []),
        _node("node-grpc/chat_stream.js", []),
    ],
)
async def test_the_first_piece_is_printed_before_the_last_is_made(
    examples: Examples, key: OwnedKey, program: str, options: list[str]
) -> None:
    model = {"KEYTURN_MODEL": "gpt-4o-paced"}
    async with (
        standin(examples.clients) as openai,
        examples.started(key, program, *options, QUESTION, **model) as process,
    ):
        assert process.stdout is not None
        await openai.release(2)  # who speaks, and the first word
        first = b""
        while b"You" not in first:
            piece = await process.stdout.read(1)
            assert piece, await process.communicate()
            first += piece
        await openai.release(20)
        rest, complaint = await process.communicate()
    printed = (first + rest).decode()

    examples.clients.keep(printed, complaint)
    assert "said" not in first.decode()
    assert process.returncode == 0, complaint
    assert printed == ANSWER + "\n" or printed.endswith("data: [DONE]\n\n")


async def test_python_asks_several_questions_at_once(examples: Examples, key: OwnedKey) -> None:
    ended = await examples.run(key, "python-openai/async_chat.py", "a", "b", "c")

    assert ended.printed.splitlines() == [f"You said: {word}" for word in "abc"], ended.complaint
    assert ended.sent == [CHAT] * 3


async def test_python_uploads_and_downloads_a_file(
    examples: Examples, key: OwnedKey, tmp_path: Path
) -> None:
    file = tmp_path / "data.bin"
    file.write_bytes(bytes(range(256)) * 4096)
    ended = await examples.run(key, "python-openai/upload.py", str(file))

    assert ended.code == 0, ended.complaint
    assert "uploaded 1048576 bytes" in ended.printed
    assert hashlib.sha256(file.read_bytes()).hexdigest() in ended.printed
    assert [method for method, _ in ended.sent] == ["POST", "GET", "DELETE"]


@pytest.mark.parametrize(
    "program",
    [
        "python-openai/errors.py",
        _node("node-openai/errors.js"),
        PYTHON_GRPC,
        _node("node-grpc/chat_stream.js"),
    ],
)
async def test_a_missing_grant_is_told_by_its_reason(
    examples: Examples, ungranted: OwnedKey, program: str
) -> None:
    ended = await examples.run(ungranted, program, QUESTION)

    told = "NOT_GRANTED" if "grpc" in program else "NOT_GRANTED: ask the key owner"
    assert (ended.code, ended.printed) == (1, "")
    assert ended.complaint.splitlines()[-1] == told
    assert ended.sent == []


async def test_curl_fails_and_prints_the_reason(examples: Examples, ungranted: OwnedKey) -> None:
    ended = await examples.run(ungranted, "curl/chat.sh", QUESTION)

    assert (ended.code, json.loads(ended.printed)["error"]["code"]) == (22, "NOT_GRANTED")
    assert ended.sent == []


@pytest.mark.parametrize("program", ["python-openai/errors.py", _node("node-openai/errors.js")])
async def test_an_sdk_does_not_try_again_what_openai_says_is_final(
    examples: Examples, key: OwnedKey, program: str
) -> None:
    ended = await examples.run(key, program, QUESTION, KEYTURN_MODEL="error-429-final")

    assert (ended.code, ended.printed) == (1, "")
    assert ended.complaint.startswith("rate_limit_exceeded: try again in ")
    assert ended.sent == [CHAT]


@pytest.mark.parametrize("program", ["python-openai/errors.py", _node("node-openai/errors.js")])
async def test_an_sdk_tries_three_times_what_may_go_better_next_time(
    examples: Examples, key: OwnedKey, program: str
) -> None:
    ended = await examples.run(key, program, QUESTION, KEYTURN_MODEL="error-429-retry")

    assert (ended.code, ended.printed) == (1, ""), ended.complaint
    assert ended.sent == [CHAT] * 3


async def test_curl_tries_three_times_what_may_go_better_next_time(
    examples: Examples, key: OwnedKey
) -> None:
    ended = await examples.run(key, "curl/chat.sh", QUESTION, KEYTURN_MODEL="error-503")

    assert ended.code == 22, ended.complaint
    assert ended.sent == [CHAT] * 3


async def test_curl_fails_when_openai_breaks_off(examples: Examples, key: OwnedKey) -> None:
    cut = {"KEYTURN_MODEL": "gpt-4o-cut", "RETRIES": "0"}
    ended = await examples.run(key, "curl/chat.sh", "--stream", QUESTION, **cut)

    assert ended.code == 18, ended.complaint
    assert "data: " in ended.printed
    assert "[DONE]" not in ended.printed


@pytest.mark.parametrize("program", [PYTHON_GRPC, _node("node-grpc/chat_stream.js")])
async def test_grpc_does_not_repeat_what_openai_was_asked(
    examples: Examples, key: OwnedKey, program: str
) -> None:
    ended = await examples.run(key, program, QUESTION, KEYTURN_MODEL="error-503")

    assert (ended.code, ended.printed) == (1, "")
    assert ended.complaint.splitlines()[-1] == "UPSTREAM_REFUSED"
    assert ended.sent == [CHAT]


@pytest.mark.parametrize("program", [PYTHON_GRPC, _node("node-grpc/chat_stream.js")])
async def test_grpc_tries_three_times_while_the_key_service_is_away(
    examples: Examples, own_clients: Clients, canary_key: SecretBytes, program: str
) -> None:
    seeded = OwnedKey(own_clients.env["KEYTURN_KEY"], canary_key)
    outage = {"level": "info", "reason": "KEY_SERVICE_UNAVAILABLE"}
    before = len(log_lines(own_clients, "gateway-svc", **outage))
    own_clients.stack.services["keyvault-svc"].stop()
    ended = await Examples(own_clients, examples.stubs).run(seeded, program, QUESTION)
    own_clients.stack.services["keyvault-svc"].start()

    assert ended.complaint.splitlines()[-1] == "KEY_SERVICE_UNAVAILABLE"
    assert len(log_lines(own_clients, "gateway-svc", **outage)) == before + 3


@pytest.mark.parametrize(
    ("program", "code", "told"),
    [
        ("python-openai/errors.py", 1, "no answer in time"),
        _node("node-openai/errors.js", 1, "no answer in time"),
        (PYTHON_GRPC, 1, "UPSTREAM_TIMED_OUT|DEADLINE_EXCEEDED"),
        _node("node-grpc/chat_stream.js", 1, "UPSTREAM_TIMED_OUT|DEADLINE_EXCEEDED"),
        ("curl/chat.sh", 28, "timed out"),
    ],
)
async def test_an_answer_that_takes_too_long_is_not_waited_for(
    examples: Examples, key: OwnedKey, program: str, code: int, told: str
) -> None:
    hanging = {"KEYTURN_MODEL": "gpt-4o-hang", "TIMEOUT_SECONDS": "1", "RETRIES": "0"}
    ended = await examples.run(key, program, QUESTION, **hanging)

    assert (ended.code, ended.printed) == (code, "")
    assert re.search(told, ended.complaint), ended.complaint


@pytest.mark.clients
@pytest.mark.parametrize("program", ["langchain/ask.py", "litellm/ask.py"])
async def test_other_clients_ask_and_stream(
    examples: Examples, key: OwnedKey, token_file: Path, program: str
) -> None:
    files: dict[str, str | Path] = {"KEYTURN_APP_TOKEN_FILE": token_file, "KEYTURN_APP_TOKEN": ""}
    ended = await examples.run(key, program, QUESTION, **files)

    assert (ended.code, ended.printed) == (0, f"{ANSWER}\n{ANSWER}\n"), ended.complaint
    assert ended.sent == [CHAT] * 2


@pytest.mark.clients
@pytest.mark.parametrize("program", ["langchain/ask.py", "litellm/ask.py"])
async def test_other_clients_try_three_times_what_may_go_better_next_time(
    examples: Examples, key: OwnedKey, program: str
) -> None:
    ended = await examples.run(key, program, QUESTION, KEYTURN_MODEL="error-429-retry")

    assert "RateLimitError" in ended.complaint
    assert ended.sent == [CHAT] * 3


@pytest.mark.go
@pytest.mark.timeout(600)
async def test_go_streams_and_tells_a_missing_grant(
    examples: Examples, key: OwnedKey, ungranted: OwnedKey, go_program: Path
) -> None:
    served = await examples.run(key, str(go_program), QUESTION)
    refused = await examples.run(ungranted, str(go_program), QUESTION)

    assert (served.code, served.printed) == (0, ANSWER + "\n"), served.complaint
    assert f"x-keyturn-key: {key.name}" in served.complaint
    assert served.sent == [CHAT]
    assert (refused.code, refused.printed, refused.complaint) == (1, "", "NOT_GRANTED\n")
