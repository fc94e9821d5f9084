"""One run of `keyturn audit verify`: reads the logs, judges their lines, keeps the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import orjson

from keyturn_cli.audit.checkpoint import Checkpoint, CheckpointError, save_checkpoint
from keyturn_cli.audit.copies import CopyFilter
from keyturn_cli.audit.entries import VaultEntry
from keyturn_cli.audit.finding_summary import FindingSummary, mark_of
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.log_files import LogKind
from keyturn_cli.audit.log_intake import LogIntake
from keyturn_cli.audit.log_source import BadLine, Item
from keyturn_cli.audit.stop_signal import Stop
from keyturn_cli.audit.verifier import Verifier
from svc_runtime.clock import Clock

CHECKPOINT_LINES: Final = 250_000  # a crash costs the reading of so many lines once more
KEEP_SECONDS: Final = 10.0  # how often a follower writes it, if there were lines
POLL_SECONDS: Final = 0.5  # how long a follower waits for lines
MAX_TOLD: Final = 10_000  # findings at the end of the logs that a later run shall not repeat


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """Where a run keeps its checkpoint.

    Attributes:
        lines: After how many lines it is written.
    """

    path: Path
    lines: int = CHECKPOINT_LINES


@dataclass(frozen=True, slots=True)
class Reporting:
    """Whom a run tells.

    Attributes:
        on_finding: Called with each finding; None when findings are told at the end.
        on_lines: Called often, to show how far the run is.
    """

    on_finding: Callable[[Finding], None] | None
    on_lines: Callable[[], None]


class Verification:
    """One run over the logs of an intake.

    Attributes:
        line_count: How many lines were judged, copies and bad ones apart.
        copy_count: How many were left out because another log had them already.
    """

    def __init__(
        self,
        intake: LogIntake,
        verifier: Verifier,
        summary: FindingSummary,
        reporting: Reporting,
        clock: Clock,
        checkpoint_file: CheckpointFile | None = None,
    ) -> None:
        self._intake = intake
        self._verifier = verifier
        self._summary = summary
        self._reporting = reporting
        self._clock = clock
        self._checkpoint_file = checkpoint_file
        self._copies = CopyFilter()
        self._has_followed = False
        self._told_before: set[str] = set()
        self._tail_marks: list[str] | None = None  # while the last lines are judged
        self._kept_line_count = 0
        self._kept_time = clock.monotonic()
        self._last_checkpoint: Checkpoint | None = None
        self.line_count = 0
        self.copy_count = 0
        self.bad_line_count = 0

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from *checkpoint*; the intake has taken its logs.

        Raises:
            CheckpointError: It is of other rules, or of a deployment with other names.
        """
        numbers = {source.log.identity: source.number for source in self._intake.sources()}
        try:
            self._verifier.restore(checkpoint.rules)
            self._copies.restore(checkpoint.copies, numbers)
            self._summary.restore(checkpoint.untold)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError("it is of other rules or of another deployment") from error
        self._told_before = set(checkpoint.told)

    def run(self, stop: Stop) -> bool:
        """Judge all lines that there are; return False if *stop* came first."""
        is_whole = self._read(stop)
        self.keep()
        return is_whole

    def follow(self, stop: Stop, poll_seconds: float = POLL_SECONDS) -> None:
        """Judge lines as they come, until *stop*."""
        self._has_followed = True
        while self._read(stop) and not stop.wait(poll_seconds):
            self._keep_if_old()
            self._intake.look_again()
        self.keep()

    def finish(self) -> None:
        """Judge what was held back as long as older lines could come, and the end of the logs.

        A later run that goes on from the checkpoint reads these lines again.
        """
        self._tail_marks = []
        # Who goes on later reads a line that is still being written when it is whole.
        is_final = self._checkpoint_file is None and not self._has_followed
        self._judge(self._intake.flush(with_unended=is_final))
        self._tell(self._verifier.finish())

    def keep(self) -> None:
        """Write the checkpoint, if there is to be one.

        Raises:
            CheckpointError: It cannot be written.
        """
        if self._checkpoint_file is None:
            return
        logs = {source.number: source.log.identity for source in self._intake.sources()}
        is_told_at_end = self._reporting.on_finding is None
        self._last_checkpoint = Checkpoint(
            orjson.loads(orjson.dumps(self._verifier.state())),  # a copy: the rules go on
            self._copies.state(logs),
            self._intake.positions(),
            untold=self._summary.state() if is_told_at_end else {},
            told=sorted(self._told_before)[:MAX_TOLD],
        )
        save_checkpoint(self._checkpoint_file.path, self._last_checkpoint)
        self._kept_line_count = self.line_count
        self._kept_time = self._clock.monotonic()

    def keep_told(self) -> None:
        """Note in the checkpoint that all findings were told.

        Raises:
            CheckpointError: It cannot be written.
        """
        if self._checkpoint_file is not None and self._last_checkpoint is not None:
            told = (self._tail_marks or [])[:MAX_TOLD]
            done = replace(self._last_checkpoint, untold={}, told=told)
            save_checkpoint(self._checkpoint_file.path, done)

    def _judge(self, items: Iterable[Item]) -> None:
        verifier = self._verifier
        has_copies = self._intake.vault_log_count > 1  # one log holds no copies of another
        for item in items:
            content = item.content
            self.line_count += 1
            if isinstance(content, BadLine):
                self.bad_line_count += 1
                is_vault = content.kind is LogKind.VAULT
                is_ahead = content.ahead is not None
                self._tell(
                    verifier.see_bad_line(content.place, is_vault=is_vault, is_ahead=is_ahead)
                )
                if content.ahead is None:
                    continue
                content = content.ahead
            if isinstance(content, VaultEntry):
                if has_copies and self._copies.is_copy(content, item.source):
                    self.copy_count += 1
                    continue
                found = verifier.see_vault(content)
            else:
                found = verifier.see_service(content)
            if found:
                self._tell(found)
        self._reporting.on_lines()

    def _read(self, stop: Stop) -> bool:
        while not stop.is_set():
            items = self._intake.read()
            if items is None:
                self._judge(self._intake.settle())
                return True
            self._judge(items)
            file = self._checkpoint_file
            if file is not None and self.line_count - self._kept_line_count >= file.lines:
                self.keep()
        return False

    def _keep_if_old(self) -> None:
        now = self._clock.monotonic()
        if self.line_count > self._kept_line_count and now - self._kept_time > KEEP_SECONDS:
            self.keep()

    def _tell(self, found: Iterable[Finding]) -> None:
        for finding in found:
            mark = mark_of(finding)
            if self._tail_marks is not None:
                self._tail_marks.append(mark)
            if mark in self._told_before:
                self._told_before.discard(mark)
                continue
            self._summary.add(finding)
            if self._reporting.on_finding is not None:
                self._reporting.on_finding(finding)
