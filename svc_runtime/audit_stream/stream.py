"""A service's log lines, of which the audited ones are a chain that can be waited for."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Final

import structlog

from svc_runtime.audit_stream.chain import CLOSING, Chain, Head
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.audit_stream.line_writer import LineWriter
from svc_runtime.audit_stream.outputs import DescriptorOutput, SyncedFile
from svc_runtime.audit_stream.settings import AuditStreamSettings
from svc_runtime.settings_models import SettingsError
from svc_runtime.telemetry.metrics_of_process import AUDIT_FAILURES

FLUSH_SECONDS: Final = 2.0
"""How long an action waits for the line that tells of it."""

_PLAIN_SHARE: Final = 0.5  # of the room: the rest is for audited lines
_CLOSE_SECONDS: Final = 2.0

_log = structlog.get_logger()


class AuditStream:
    """Where a service's log lines go. Its methods may be called from any thread.

    Audited lines are never dropped once they are in the chain. Where they would fill the memory,
    because they cannot be written for long, they are counted instead, and the chain tells how many
    there were (`audit_lines_lost`); nothing that waits for its line happens then.
    """

    def __init__(self, service: str, audited: LineWriter, plain: LineWriter) -> None:
        """Begin a chain of *service*.

        Args:
            service: Names the chain.
            audited: Takes the lines of the chain.
            plain: Takes all others; it may be the same.
        """
        self._audited = audited
        self._plain = plain
        self._chain = Chain(service)
        self._lock = threading.RLock()
        self._lost_count = 0
        self._own = threading.local()

    @property
    def head(self) -> Head:
        """How far the chain has come."""
        with self._lock:
            return self._chain.head

    def write(self, line: str, *, is_audited: bool) -> None:
        """Take *line*, a JSON object. Returns at once."""
        if not is_audited:
            if self._plain.has_room(_PLAIN_SHARE):
                self._plain.put(line.encode() + b"\n")
            return
        with self._lock:
            self._own.is_lost = not self._audited.has_room()
            if self._own.is_lost:
                self._lost_count += 1
                return
            self.tell_lost()
            self._audited.put(self._chain.link(line))

    def tell_lost(self) -> None:
        """Write how many lines were lost, if any were and there is room again."""
        with self._lock:
            if self._lost_count and self._audited.has_room():
                lost, self._lost_count = self._lost_count, 0
                _log.error("audit_lines_lost", count=lost)  # it goes to `write`, and in first

    async def flushed(self, timeout_seconds: float = FLUSH_SECONDS) -> None:
        """Return once all audited lines that this thread has written so far are where they belong.

        Raises:
            AuditUnavailableError: They are not within *timeout_seconds*.
        """
        if not getattr(self._own, "is_lost", False):
            try:
                return await self._audited.written(timeout_seconds)
            except TimeoutError:
                pass
        AUDIT_FAILURES.add(1)
        raise AuditUnavailableError

    def open(self) -> None:
        """Write the first line, once logs come here."""
        _log.info("audit_stream_opened")

    def end(self) -> None:
        """Write the last line, but for that of a checkpoint."""
        _log.info(CLOSING)

    def close(self) -> None:
        """Write what waits, for two seconds at most. Idempotent."""
        for writer in {self._audited, self._plain}:
            writer.close(_CLOSE_SECONDS)


def open_audit_stream(service: str, settings: AuditStreamSettings) -> AuditStream:
    """Return the stream of *service*, on standard output or in the file that *settings* name.

    Raises:
        SettingsError: The file cannot be written.
    """
    sys.stdout.flush()
    output = DescriptorOutput(sys.stdout.fileno())
    if settings.file is None:
        writer = LineWriter(output, on_failure=_tell_failure, on_recovery=_tell_recovery)
        return AuditStream(service, writer, writer)
    file = _synced_file(settings.file)
    audited = LineWriter(file, on_failure=_tell_failure, on_recovery=_tell_recovery)
    return AuditStream(service, audited, LineWriter(output))


def _synced_file(path: Path) -> SyncedFile:
    try:
        return SyncedFile(path)
    except OSError as error:
        problem = f"audit_stream.file: {path}: {error.strerror}"
    raise SettingsError(problem)


def _tell_failure(cause: str) -> None:
    _log.error("audit_stream_failed", cause=cause)


def _tell_recovery() -> None:
    _log.warning("audit_stream_recovered")
