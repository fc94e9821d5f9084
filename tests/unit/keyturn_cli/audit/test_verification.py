from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from keyturn_cli.audit.checkpoint import CheckpointError, load_checkpoint
from keyturn_cli.audit.finding_summary import FindingSummary
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.log_files import UnreadLog
from keyturn_cli.audit.log_intake import LogIntake
from keyturn_cli.audit.log_search import LogSearch
from keyturn_cli.audit.options import VerifyOptions
from keyturn_cli.audit.verification import CheckpointFile, Reporting, Verification
from keyturn_cli.audit.verifier import Verifier
from tests.fakes.fake_clock import FakeClock
from tests.unit.keyturn_cli.audit.made_logs import compress, day, text_of, vault_line

MINUTE = 60_000


@dataclass
class Outcome:
    """What a run came to."""

    is_whole: bool
    summary: FindingSummary
    unread: list[UnreadLog]
    line_count: int

    @property
    def lines(self) -> list[int]:
        """The numbers of the lines that were found to be no entries."""
        return [
            place.line
            for finding in self.summary.kept["LINE_UNREADABLE"]
            for place in finding.places
        ]


def _verify(
    logs: Sequence[Path],
    checkpoint: Path | None = None,
    *,
    every: int = 1_000_000,
    stop_after: int = 1_000_000_000,
    options: VerifyOptions | None = None,
    on_finding: Callable[[Finding], None] | None = None,
) -> Outcome:
    """Verify *logs*; stop by the signal's event once *stop_after* lines were judged."""
    clock, stop = FakeClock(), threading.Event()
    file = CheckpointFile(checkpoint, every) if checkpoint else None
    before = load_checkpoint(checkpoint) if checkpoint else None
    intake = LogIntake(LogSearch(logs, []), clock, before.positions if before else ())
    summary = FindingSummary(100)
    intake.start()

    def on_lines() -> None:
        if verification.line_count >= stop_after:
            stop.set()

    reporting = Reporting(on_finding, on_lines)
    verifier = Verifier(options or VerifyOptions())
    verification = Verification(intake, verifier, summary, reporting, clock, file)
    if before is not None:
        verification.restore(before)
    with closing(intake):
        is_whole = verification.run(stop)
        if is_whole:
            verification.finish()
            verification.keep_told()
    return Outcome(is_whole, summary, intake.unread(), verification.line_count)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder / "checkpoint"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder / "audit.log"


def test_an_untouched_log_gives_no_finding(log: Path) -> None:
    log.write_bytes(day(range(0, MINUTE, 100)))

    outcome = _verify([log])

    assert not outcome.summary.counts
    assert outcome.line_count == 1200


def test_a_line_that_is_no_entry_is_found_with_its_place(log: Path) -> None:
    log.write_bytes(day(range(0, MINUTE, 100), bad=[30_000]))

    outcome = _verify([log])

    assert outcome.summary.counts == {"LINE_UNREADABLE": 1}
    assert outcome.lines == [601]


def test_a_line_of_the_far_future_is_found_and_judged_where_it_stands(log: Path) -> None:
    lines = day(range(0, MINUTE, 100)).splitlines(keepends=True)
    lines[600] = lines[600].replace(b"2026-", b"2926-")
    log.write_bytes(b"".join(lines))

    outcome = _verify([log])

    assert outcome.summary.counts == {"LINE_AHEAD": 1}
    [finding] = outcome.summary.kept["LINE_AHEAD"]
    assert [place.line for place in finding.places] == [601]
    assert outcome.line_count == 1200


def test_what_two_devices_wrote_of_one_operation_counts_once(log: Path) -> None:
    log.write_bytes(day(range(0, MINUTE, 100)))
    other = log.with_name("other.log")
    other.write_bytes(b"\n" + log.read_bytes().replace(b'"time": ', b'"time":'))

    outcome = _verify([log, other])

    assert not outcome.summary.counts
    assert outcome.line_count == 2400


def test_a_later_run_judges_only_what_came_since(log: Path, checkpoint: Path) -> None:
    log.write_bytes(day(range(0, MINUTE, 100), bad=[100]))
    assert _verify([log], checkpoint).lines == [3]

    log.write_bytes(day(range(0, 2 * MINUTE, 100), bad=[100, 90_000]))
    second = _verify([log], checkpoint)

    assert second.lines == [1802]
    assert second.line_count == 1201
    assert not _verify([log], checkpoint).summary.counts


def test_findings_in_the_last_lines_are_not_told_again(log: Path, checkpoint: Path) -> None:
    log.write_bytes(day(range(0, MINUTE, 100), bad=[MINUTE - 100]))
    assert _verify([log], checkpoint).lines == [1199]

    assert _verify([log], checkpoint).lines == []


def test_a_run_that_was_stopped_goes_on_and_tells_all_that_was_found(
    log: Path, checkpoint: Path
) -> None:
    log.write_bytes(day(range(0, 30 * MINUTE, 100), bad=[100, 20 * MINUTE]))
    first = _verify([log], checkpoint, stop_after=5_000)
    assert not first.is_whole
    assert first.lines == [3]

    second = _verify([log], checkpoint)

    assert second.is_whole
    assert second.lines == [3, 24_002]
    assert first.line_count + second.line_count == 36_002


def test_a_run_that_crashed_goes_on_from_its_last_checkpoint(log: Path, checkpoint: Path) -> None:
    log.write_bytes(day(range(0, 30 * MINUTE, 100), bad=[100, 20 * MINUTE]))

    def crash(finding: Finding) -> None:
        if finding.places[0].line > 1000:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        _verify([log], checkpoint, every=2_000, on_finding=crash)
    again = _verify([log], checkpoint)

    assert again.lines == [24_002]
    assert again.line_count < 20_000


def test_a_later_run_goes_on_in_a_rotated_and_gzipped_log(log: Path, checkpoint: Path) -> None:
    log.write_bytes(day(range(0, MINUTE, 100)))
    _verify([log], checkpoint)

    log.write_bytes(day(range(0, 2 * MINUTE, 100), bad=[90_000]))
    compress(log.rename(log.with_name("audit.log.1")))
    log.write_bytes(day(range(2 * MINUTE, 3 * MINUTE, 100), bad=[150_000]))
    outcome = _verify([log.parent], checkpoint)

    assert outcome.lines == [1801, 601]


def test_a_log_that_was_rotated_is_found_beside_the_one_that_is_given(
    log: Path, checkpoint: Path
) -> None:
    log.write_bytes(day(range(0, MINUTE, 100)))
    _verify([log], checkpoint)

    log.write_bytes(day(range(0, 2 * MINUTE, 100), bad=[90_000]))
    compress(log.rename(log.with_name("audit.log.1")))
    log.write_bytes(day(range(2 * MINUTE, 3 * MINUTE, 100)))
    outcome = _verify([log], checkpoint)

    assert outcome.lines == [1801]
    assert not outcome.unread


def test_a_log_whose_rest_is_gone_is_told(log: Path, checkpoint: Path) -> None:
    log.write_bytes(day(range(0, MINUTE, 100)))
    _verify([log], checkpoint)

    log.write_bytes(day(range(2 * MINUTE, 3 * MINUTE, 100)))
    outcome = _verify([log], checkpoint)

    assert outcome.unread == [UnreadLog(str(log), "what came after line 1200 was not found")]


def test_lines_that_were_removed_after_they_were_verified_are_told(
    log: Path, checkpoint: Path
) -> None:
    log.write_bytes(day(range(0, MINUTE, 100)))
    _verify([log], checkpoint)

    log.write_bytes(day(range(0, MINUTE - 10_000, 100)))
    outcome = _verify([log], checkpoint)

    assert [unread.name for unread in outcome.unread] == [str(log)]


def test_a_log_that_should_have_been_verified_before_is_told_and_not_judged(
    log: Path, checkpoint: Path
) -> None:
    log.write_bytes(day(range(10 * MINUTE, 11 * MINUTE, 100)))
    _verify([log], checkpoint)

    forgotten = log.with_name("node-b.log")
    forgotten.write_bytes(day(range(0, MINUTE, 100)))
    outcome = _verify([log, forgotten], checkpoint)

    (unread,) = outcome.unread
    assert unread.name == str(forgotten)
    assert "verify all logs anew together" in unread.reason
    assert not outcome.summary.counts


def test_steps_find_what_one_run_finds(log: Path, checkpoint: Path) -> None:
    """Logs of two nodes that are read while they are written, cut anywhere."""
    others = log.with_name("node-b.log")
    texts = {
        log: day(range(0, 10 * MINUTE, 100), bad=[5 * MINUTE]),
        others: day(range(50, 10 * MINUTE, 130), bad=[50 + 130 * 2000]),
    }
    for path, text in texts.items():
        path.write_bytes(text)
    at_once = _verify([log, others])

    found = []
    for step in range(1, 12):
        for path, text in texts.items():
            path.write_bytes(text[: len(text) * step // 11])
        found += _verify([log, others], checkpoint).lines

    assert sorted(found) == sorted(at_once.lines)
    assert len(found) == 2


def test_a_checkpoint_of_another_deployment_is_refused(log: Path, checkpoint: Path) -> None:
    log.write_bytes(day([0]))
    _verify([log], checkpoint)

    with pytest.raises(CheckpointError, match="another deployment"):
        _verify([log], checkpoint, options=VerifyOptions(kv_mount="elsewhere"))


def test_a_copy_that_says_something_else_is_judged(log: Path) -> None:
    log.write_bytes(text_of([vault_line(100, "one"), vault_line(101, "one", kind="response")]))
    other = log.with_name("other.log")
    other.write_bytes(log.read_bytes().replace(b"sys/health", b"sys/raw/x"))

    assert _verify([log, other]).summary.counts


def test_memory_does_not_grow_with_the_log(log: Path) -> None:
    def peak(minutes: int) -> int:
        log.write_bytes(day(range(0, minutes * MINUTE, 100)))
        tracemalloc.start()
        try:
            _verify([log])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(20) < 1.2 * peak(5)
