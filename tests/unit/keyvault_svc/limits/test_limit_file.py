from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from keyvault_svc.limits.limit_file import LimitFileError, open_limit_file

OPEN = """
import sys
from pathlib import Path
from keyvault_svc.limits.limit_file import LimitFileError, open_limit_file
try:
    connection = open_limit_file(Path(sys.argv[1]))
except LimitFileError as error:
    print(error)
else:
    print("opened", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.db"


def _write(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def _damage(path: Path) -> None:
    """Overwrite the root page of one table and of one index."""
    open_limit_file(path).close()
    content = bytearray(path.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    content[page : 3 * page] = b"\xff" * (2 * page)
    path.write_bytes(content)


def test_a_new_file_is_for_this_account_only(path: Path) -> None:
    connection = open_limit_file(path)
    connection.execute("DELETE FROM lease")

    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    connection.close()

    assert modes == {"limits.db": 0o600, "limits.db-wal": 0o600}


def test_a_commit_is_on_the_disk_before_it_is_told(path: Path) -> None:
    connection = open_limit_file(path)

    settings = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "locking_mode")
    ]
    connection.close()

    assert settings == ["wal", 2, "exclusive"]


def test_a_file_is_opened_again_with_what_is_in_it(path: Path) -> None:
    connection = open_limit_file(path)
    connection.execute("INSERT INTO subject VALUES ('o', 's', 1)")
    connection.close()

    connection = open_limit_file(path)
    rows = connection.execute("SELECT owner, subject FROM subject").fetchall()
    connection.close()

    assert rows == [("o", "s")]


def test_a_file_serves_one_process_until_that_is_gone(path: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "opened\n"

        with pytest.raises(LimitFileError, match="is in use by another process"):
            open_limit_file(path)
        second = subprocess.run(
            command, check=True, input="", capture_output=True, text=True
        ).stdout
        first.kill()
        first.wait()

    assert second.startswith(f"{path}: is in use by another process. A file of limits serves one")
    open_limit_file(path).close()


def test_a_file_is_opened_once_in_a_process(path: Path) -> None:
    connection = open_limit_file(path)

    with pytest.raises(LimitFileError, match="is in use"):
        open_limit_file(path)
    connection.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no database at all, but long enough" * 99),
        _damage,
        lambda path: _write(path, "CREATE TABLE other (word TEXT)"),
        lambda path: _write(path, "PRAGMA application_id=1"),
    ],
    ids=["text", "damaged", "other-tables", "other-application"],
)
def test_a_file_that_is_no_file_of_limits_says_what_to_do(path: Path, spoil: object) -> None:
    assert callable(spoil)
    spoil(path)
    before = path.read_bytes()

    with pytest.raises(LimitFileError) as refused:
        open_limit_file(path)

    assert str(refused.value).startswith(f"{path}: is damaged, or is no file of limits. Stop the")
    assert path.read_bytes()[100:] == before[100:]


def test_a_file_of_a_newer_release_is_left_alone(path: Path) -> None:
    open_limit_file(path).close()
    _write(path, "PRAGMA user_version=3")

    with pytest.raises(LimitFileError, match="is of version 3, and this release knows 2"):
        open_limit_file(path)


def test_a_file_of_the_release_before_gets_what_it_lacks_and_keeps_what_it_has(path: Path) -> None:
    connection = open_limit_file(path)
    connection.execute("INSERT INTO subject VALUES ('o', 's', 1)")
    connection.close()
    _write(path, "DROP TABLE baseline")
    _write(path, "PRAGMA user_version=1")

    open_limit_file(path).close()
    connection = open_limit_file(path)
    kept = connection.execute("SELECT owner, subject FROM subject").fetchall()
    baselines = connection.execute("SELECT count(*) FROM baseline").fetchone()
    connection.close()

    assert (kept, baselines) == ([("o", "s")], (0,))


@pytest.mark.parametrize("name", ["none/limits.db", "."])
def test_a_file_that_cannot_be_made_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name

    with pytest.raises(LimitFileError) as refused:
        open_limit_file(path)

    assert str(refused.value).startswith(f"{path}: ")


def test_a_database_in_memory_is_its_own(tmp_path: Path) -> None:
    first, second = open_limit_file(None), open_limit_file(None)
    first.execute("INSERT INTO subject VALUES ('o', 's', 1)")

    assert second.execute("SELECT count(*) FROM subject").fetchone() == (0,)
    assert list(tmp_path.iterdir()) == []
    first.close()
    second.close()
