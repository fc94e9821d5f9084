"""JSON-lines logs, read one line at a time however large the file is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode

# Vault's audit lines grow with the policies of a token; 1 MiB is far above any of ours.
MAX_LINE_BYTES: Final = 1024 * 1024


def read_json_lines(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield the object of each line of *path*, plain or `.gz`; None for a line that is none.

    Empty lines are skipped.

    Raises:
        CommandError: The file cannot be read.
    """
    try:
        with _open(path) as file:
            while line := file.readline(MAX_LINE_BYTES):
                if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                    _skip_line(file)
                    yield None
                elif not line.isspace():
                    yield _object(line)
    except (OSError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "is damaged"
        raise CommandError(f"The log {path} cannot be read: {reason}.", ExitCode.USAGE) from error


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    return path.open("rb")


def _skip_line(file: IO[bytes] | gzip.GzipFile) -> None:
    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
