"""Finds the logs that were given: files, folders of rotated ones, standard input; repeatedly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from keyturn_cli.audit.log_files import (
    STANDARD_INPUT,
    LogFile,
    LogKind,
    UnreadLog,
    probe_file,
    probe_stream,
    series_of,
)
from keyturn_cli.audit.log_text import DamagedLogError, open_stream
from keyturn_cli.audit.log_twins import Twins, compare_twins

_STDIN_DESCRIPTOR: Final = 0


class LogSearch:
    """Looks for logs; knows those that it found before, and looks into changed files only.

    Attributes:
        unread: What cannot be read, by name.
    """

    def __init__(self, vault_logs: Sequence[Path], service_logs: Sequence[Path]) -> None:
        """Look for *vault_logs* and *service_logs*: files, folders, or `-`."""
        self._given = [
            *((path, LogKind.VAULT) for path in vault_logs),
            *((path, LogKind.SERVICE) for path in service_logs),
        ]
        self._known: dict[Path, tuple[tuple[int, ...], LogFile | None]] = {}
        self._twins: dict[tuple[Path, Path], tuple[tuple[tuple[int, ...], ...], Twins]] = {}
        self._stream: LogFile | None = None
        self._has_read_stream = False
        self.unread: dict[str, UnreadLog] = {}

    def find(self) -> list[LogFile]:
        """Return the logs that are there now, each once, in the order of their first lines.

        Of several files of one log the longest counts, and of alike ones the plain one. Two that
        begin alike and go on otherwise cannot both be what they say: the second is told as unread.
        """
        found: dict[tuple[LogKind, str], LogFile] = {}
        for log in self._all():
            other = found.get(log.key)
            found[log.key] = log if other is None else self._longest(other, log)
        return sorted(found.values(), key=lambda log: log.first_us)

    def find_moved(self, series: str, key: tuple[LogKind, str]) -> LogFile | None:
        """Return the log of *key* among the rotated files of *series*; None when it is gone."""
        kind = key[0]
        for path in self._paths_of(Path(series).parent):
            if series_of(path) == series:
                log = self._probe(str(path), path, kind)
                if log is not None and log.key == key:
                    return log
        return None

    def _longest(self, first: LogFile, second: LogFile) -> LogFile:
        if first.path is None or second.path is None:
            stream, file = (first, second) if first.path is None else (second, first)
            if file.path is not None:
                reason = f"it begins as {file.name} does: give one of the two"
                self.unread[stream.name] = UnreadLog(stream.name, reason)
            return file
        if first.path == second.path:
            return first
        name = first.path, second.path
        stats = tuple(self._known[path][0] for path in name)
        known, twins = self._twins.get(name, ((), Twins.SAME))
        if known != stats and not _has_only_grown(known, stats, twins):
            try:
                twins = compare_twins(first, second)
            except (OSError, DamagedLogError) as error:
                self.unread[second.name] = UnreadLog(second.name, _reason(error))
                return first
            self._twins[name] = stats, twins
        if twins is Twins.DIFFERENT:
            reason = f"it begins as {first.name} does, and goes on otherwise"
            self.unread[second.name] = UnreadLog(second.name, reason)
        if twins is Twins.SAME:
            return first if first.is_plain or not second.is_plain else second
        return second if twins is Twins.SECOND_IS_LONGER else first

    def _all(self) -> Iterator[LogFile]:
        for given, kind in self._given:
            if str(given) == STANDARD_INPUT:
                log = self._standard_input(kind)
                if log is not None:
                    yield log
                continue
            for path in self._paths_of(given):
                log = self._probe(str(path), path, kind)
                if log is not None:
                    yield log

    def _paths_of(self, given: Path) -> list[Path]:
        if not given.is_dir():
            return [given]
        try:
            paths = _files_in(given)
        except OSError as error:
            self.unread[str(given)] = UnreadLog(str(given), _reason(error))
            return []
        self.unread.pop(str(given), None)
        return paths

    def _probe(self, name: str, path: Path, kind: LogKind) -> LogFile | None:
        try:
            stat = path.stat()
            now = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            before, log = self._known.get(path, ((), None))
            if now != before:
                log = probe_file(name, path, kind)
                self._known[path] = now, log
        except (OSError, DamagedLogError) as error:
            self.unread[name] = UnreadLog(name, _reason(error))
            return None
        self.unread.pop(name, None)
        return log

    def _standard_input(self, kind: LogKind) -> LogFile | None:
        if not self._has_read_stream:
            self._has_read_stream = True
            try:
                self._stream = probe_stream(open_stream(_STDIN_DESCRIPTOR), kind)
            except (OSError, DamagedLogError) as error:
                self.unread[STANDARD_INPUT] = UnreadLog(STANDARD_INPUT, _reason(error))
        return self._stream


def _reason(error: OSError | DamagedLogError) -> str:
    if isinstance(error, OSError):
        return error.strerror or "the system cannot read it"
    return str(error)


def _has_only_grown(
    before: tuple[tuple[int, ...], ...], now: tuple[tuple[int, ...], ...], twins: Twins
) -> bool:
    """Return whether the longer of two logs is the same file as before, and the other unchanged."""
    if len(before) != len(now) or twins not in {Twins.FIRST_IS_LONGER, Twins.SECOND_IS_LONGER}:
        return False
    longer = 0 if twins is Twins.FIRST_IS_LONGER else 1
    is_same_file = before[longer][:2] == now[longer][:2]
    return (
        is_same_file
        and before[1 - longer] == now[1 - longer]
        and (before[longer][2] <= now[longer][2])
    )


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
