"""How far the reading of logs is: a bar for people who watch, and one line at the end."""

from __future__ import annotations

import resource
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from keyturn_cli.audit.log_intake import LogIntake
from svc_runtime.clock import Clock

UPDATE_SECONDS: Final = 0.2

_BAR_WIDTH: Final = 12  # so that all of the line fits into 80 columns
_KIB: Final = 1024
_MEGABYTE: Final = 1_000_000


class ProgressBar:
    """Shows bytes of total, lines, their rate, and findings if there can be any.

    It is silent where nobody watches.
    """

    def __init__(self, intake: LogIntake, clock: Clock, *, is_shown: bool) -> None:
        self._intake = intake
        self._clock = clock
        self._start = self._shown_at = clock.monotonic()
        self._bar = Progress(
            BarColumn(_BAR_WIDTH),
            TaskProgressColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[words]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
            disable=not is_shown,
        )
        self._task = self._bar.add_task("", total=None, words="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, finding_count: int | None = None) -> None:
        """Show how far it is, if the last time was not just now."""
        now = self._clock.monotonic()
        if self._bar.disable or now - self._shown_at < UPDATE_SECONDS:
            return
        self._shown_at = now
        sources = self._intake.sources()
        lines = sum(source.line_count for source in sources)
        rate = lines / (now - self._start)
        found = "" if finding_count is None else f", {finding_count:,} found"
        self._bar.update(
            self._task,
            completed=sum(source.stored_byte_count() for source in sources),
            total=sum(source.log.stored_bytes for source in sources) or None,
            words=f"{lines:,} lines, {rate:,.0f}/s{found}",
        )
        self._bar.refresh()


def run_figures(intake: LogIntake, seconds: float) -> dict[str, int | float]:
    """Return what a run of *seconds* read, and how much memory its process took."""
    sources = intake.sources()
    lines = sum(source.line_count for source in sources)
    count = sum(source.byte_count for source in sources)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on Linux
    return {
        "lines": lines,
        "seconds": round(seconds, 2),
        "lines_per_second": round(lines / seconds) if seconds else 0,
        "megabytes_per_second": round(count / _MEGABYTE / seconds, 1) if seconds else 0,
        "peak_mebibytes": round(peak / _KIB),
    }


def figures_sentence(figures: dict[str, int | float]) -> str:
    """Return *figures* in words."""
    return (
        f"{figures['lines']:,} lines in {figures['seconds']:,.1f} s: "
        f"{figures['lines_per_second']:,} lines/s, {figures['megabytes_per_second']:,.1f} MB/s, "
        f"peak {figures['peak_mebibytes']:,} MiB of memory"
    )
