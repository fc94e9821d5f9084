"""Logs of the smallest lines that can be read, each at a millisecond of one hour."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from keyturn_cli.audit.entries import ServiceRecord, VaultEntry
from keyturn_cli.audit.log_files import LogFile, LogKind, probe_file
from keyturn_cli.audit.log_source import BadLine, Item


def vault_line(
    millisecond: int, operation: str = "", *, kind: str = "request", path: str = "sys/health"
) -> bytes:
    """Return a line whose operation is *operation*, by default one of its own."""
    request = {"id": operation or f"op-{millisecond}", "operation": "read", "path": path}
    return json.dumps({"time": _time(millisecond), "type": kind, "request": request}).encode()


def operation_lines(millisecond: int) -> list[bytes]:
    """Return the request and the answer of a harmless operation."""
    name = f"op-{millisecond}"
    return [vault_line(millisecond, name), vault_line(millisecond, name, kind="response")]


def service_line(millisecond: int, event: str = "rpc") -> bytes:
    return json.dumps({"event": event, "time": _time(millisecond)}).encode()


def text_of(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def day(milliseconds: Iterable[int], *, bad: Iterable[int] = ()) -> bytes:
    """Return a log of harmless operations, with a line that is no entry before each of *bad*."""
    marked = frozenset(bad)
    return text_of(
        line
        for millisecond in milliseconds
        for line in (
            *([b"no entry"] if millisecond in marked else ()),
            *operation_lines(millisecond),
        )
    )


def write_log(path: Path, milliseconds: Iterable[int]) -> Path:
    path.write_bytes(text_of(vault_line(millisecond) for millisecond in milliseconds))
    return path


def append(path: Path, milliseconds: Iterable[int]) -> None:
    with path.open("ab") as file:
        file.write(text_of(vault_line(millisecond) for millisecond in milliseconds))


def compress(path: Path) -> Path:
    """Replace *path* by its gzipped file."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed


def log_at(path: Path, kind: LogKind = LogKind.VAULT) -> LogFile:
    log = probe_file(str(path), path, kind)
    assert log is not None
    return log


def milliseconds_of(items: Iterable[Item]) -> list[int]:
    """Return what `vault_line` was given for the lines that *items* are."""
    return [_millisecond(item.content) for item in items]


def _time(millisecond: int) -> str:
    seconds, rest = divmod(millisecond, 1000)
    return f"2026-02-03T10:{seconds // 60:02}:{seconds % 60:02}.{rest:03}Z"


def _millisecond(content: VaultEntry | ServiceRecord | BadLine) -> int:
    assert not isinstance(content, BadLine)
    return content.time_us // 1000 % 3_600_000
