"""The file that lets a later verification go on where one ended."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from keyturn_cli.audit.positions import Position

FORMAT: Final = "keyturn-audit-verify"
VERSION: Final = 1
MAX_POSITIONS: Final = 10_000  # logs; those that were read last are kept


class CheckpointError(Exception):
    """A checkpoint cannot be used, or not be written; the text says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a verification stands.

    Attributes:
        rules: State of the rules, as JSON types.
        copies: State of the filter of copies.
        positions: How far each log was read.
        untold: Findings that were not printed yet, with their counts: state of the summary.
        told: Marks of findings that were printed, of lines that will be read again.
    """

    rules: dict[str, Any]
    copies: dict[str, Any]
    positions: Sequence[Position]
    untold: dict[str, Any] = field(default_factory=dict)
    told: Sequence[str] = ()


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Return the checkpoint at *path*; None when there is no such file.

    Raises:
        CheckpointError: It cannot be read, is damaged, no checkpoint, or of another version.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"it cannot be read: {error.strerror}") from error
    head, _, body = content.partition(b"\n")
    document = _mapping(head)
    if document.get("format") != FORMAT:
        raise CheckpointError("it is no checkpoint of `keyturn audit verify`")
    if document.get("version") != VERSION:
        raise CheckpointError(
            f"it is of version {document.get('version')}, and this Keyturn knows version {VERSION}"
        )
    if document.get("sha256") != hashlib.sha256(body).hexdigest():
        raise CheckpointError("it is damaged")
    return _parsed(body)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write *checkpoint* to *path*, wholly or not at all; a crash leaves it or the one before.

    Raises:
        CheckpointError: It cannot be written.
    """
    positions = sorted(checkpoint.positions, key=lambda position: position.clock_us)
    body = orjson.dumps(
        {
            "rules": checkpoint.rules,
            "copies": checkpoint.copies,
            "positions": [position.document() for position in positions[-MAX_POSITIONS:]],
            "untold": checkpoint.untold,
            "told": list(checkpoint.told),
        }
    )
    digest = hashlib.sha256(body).hexdigest()
    head = orjson.dumps({"format": FORMAT, "version": VERSION, "sha256": digest})
    try:
        _replace(path, head + b"\n" + body)
    except OSError as error:
        raise CheckpointError(f"it cannot be written: {error.strerror}") from error


@contextmanager
def checkpoint_lock(path: Path) -> Iterator[None]:
    """Keep other runs from the checkpoint at *path*, by a lock on a file beside it.

    Raises:
        CheckpointError: Another run has it, or there can be no such file.
    """
    try:
        lock = path.with_name(f"{path.name}.lock").open("wb")
    except OSError as error:
        raise CheckpointError(f"it cannot be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError("another verification is using it") from error
        yield


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)  # of a crash; its mode may be another
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _parsed(body: bytes) -> Checkpoint:
    document = _mapping(body)
    try:
        positions = [Position.from_document(position) for position in document["positions"]]
        return Checkpoint(
            document["rules"],
            document["copies"],
            positions,
            document["untold"],
            document["told"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError("it is damaged") from error


def _mapping(raw: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
