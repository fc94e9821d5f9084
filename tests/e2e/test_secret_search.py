"""The search for the canary key can fail: it finds a key that is planted."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from keyturn_cli.standin.standin_keys import make_key
from tests.e2e.secret_search import forms_of, search_files, search_processes, search_texts


@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_the_search_finds_each_form_in_a_file(tmp_path: Path, before: str) -> None:
    planted = make_key()
    raw = planted.expose()
    around = before.encode() + raw + b"..."
    (tmp_path / "deep").mkdir()
    contents = {
        "plain": around,
        "cut": raw[8:-4],
        "reversed": around[::-1],
        "hex": around.hex().encode(),
        "upper-case hex": around.hex().upper().encode(),
        "url": f"?q={quote(around)}".encode(),
        "base64": base64.b64encode(around),
        "base64 for URLs": base64.urlsafe_b64encode(around),
        "json": json.dumps({"key": raw.decode()}).encode(),
        "UTF-16": around.decode().encode("utf-16"),
        "late": bytes(16 * 1024 * 1024 - 20) + around,
    }
    for name, content in contents.items():
        (tmp_path / "deep" / name).write_bytes(content)

    found, _ = search_files(tmp_path, forms_of(planted))

    assert {Path(find.place).name for find in found} == set(contents)


def test_the_search_finds_a_key_in_a_process() -> None:
    planted = make_key()
    raw = planted.expose().decode()
    with _waiting([raw], {}) as in_arguments, _waiting([], {"KEY": raw}) as in_environment:
        for process in (in_arguments, in_environment):
            assert process.stdout is not None
            process.stdout.readline()

        found, _ = search_processes(forms_of(planted))

        in_arguments.kill()
        in_environment.kill()
    expected = {f"process {process.pid}" for process in (in_arguments, in_environment)}
    assert {find.place for find in found} == expected


def test_the_search_finds_a_key_in_a_text() -> None:
    planted = make_key()

    found = search_texts("here", ["a", f"b {planted.expose()!r}"], forms_of(planted))

    assert [find.place for find in found] == ["here"]


def _waiting(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a process that says a line, and then waits for its input to end."""
    program = "import sys; print(flush=True); sys.stdin.read()"
    return subprocess.Popen(
        [sys.executable, "-S", "-c", program, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
