from __future__ import annotations

import stat
from pathlib import Path

import pytest

from keyturn_cli.audit.checkpoint import (
    MAX_POSITIONS,
    Checkpoint,
    CheckpointError,
    checkpoint_lock,
    load_checkpoint,
    save_checkpoint,
)
from keyturn_cli.audit.log_files import LogKind
from keyturn_cli.audit.positions import Position


def _position(number: int) -> Position:
    return Position(
        LogKind.VAULT, f"{number:032x}", "audit.log", "/audit.log", 10, 2, 5, "0" * 32, number
    )


CHECKPOINT = Checkpoint({"leases": [1]}, {"seen": {}}, [_position(1)], {"counts": {}}, ["0a"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint"
    save_checkpoint(path, CHECKPOINT)
    return path


def test_a_checkpoint_is_read_as_it_was_written(path: Path) -> None:
    assert load_checkpoint(path) == CHECKPOINT


def test_without_a_file_there_is_no_checkpoint(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none") is None


def test_only_its_owner_may_read_it_and_nothing_else_is_left(path: Path) -> None:
    save_checkpoint(path, CHECKPOINT)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_is_of_one_run_at_a_time(path: Path) -> None:
    with (
        checkpoint_lock(path),
        pytest.raises(CheckpointError, match="another"),
        checkpoint_lock(path),
    ):
        pass

    with checkpoint_lock(path):
        assert load_checkpoint(path) == CHECKPOINT


def test_what_a_crash_left_is_replaced(path: Path) -> None:
    path.with_name("checkpoint.new").write_bytes(b"half")

    save_checkpoint(path, CHECKPOINT)

    assert load_checkpoint(path) == CHECKPOINT


def test_logs_that_were_read_long_ago_are_forgotten_at_last(path: Path) -> None:
    positions = [_position(number) for number in range(MAX_POSITIONS + 1)]
    save_checkpoint(path, Checkpoint({}, {}, positions))

    loaded = load_checkpoint(path)

    assert loaded is not None
    assert list(loaded.positions) == positions[1:]


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (lambda content: content[:-1], "damaged"),
        (lambda content: content.replace(b"leases", b"Leases"), "damaged"),
        (lambda content: content.replace(b'"version":1', b'"version":2'), "of version 2"),
        (lambda content: content.replace(b"keyturn-audit", b"other-audit"), "no checkpoint"),
        (lambda _: b"", "no checkpoint"),
        (lambda _: b"\x00\xff\n", "no checkpoint"),
    ],
    ids=["cut", "altered", "later version", "other format", "empty", "no text"],
)
def test_what_cannot_be_used_is_refused_and_left_as_it_is(
    path: Path, alter: object, words: str
) -> None:
    assert callable(alter)
    content = alter(path.read_bytes())
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)
    assert path.read_bytes() == content
