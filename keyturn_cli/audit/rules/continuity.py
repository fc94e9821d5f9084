"""The log goes on, and its times go forward."""

from __future__ import annotations

from typing import Any

from keyturn_cli.audit.entries import Place, VaultEntry
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.operations import duration
from keyturn_cli.audit.options import VerifyOptions


class Continuity:
    """Looks at the time of each entry."""

    def __init__(self, options: VerifyOptions) -> None:
        self._options = options
        self._last_us = 0
        self._last = Place("", 0)

    def see(self, entry: VaultEntry) -> Finding | None:
        """Return what is wrong with the time of *entry*, if anything is."""
        last_us, last = self._last_us, self._last
        if entry.time_us >= last_us:
            self._last_us, self._last = entry.time_us, entry.place
        if not last_us:
            return None
        passed_us = entry.time_us - last_us
        if passed_us < -self._options.skew_us:
            facts = {"back": duration(passed_us)}
            return Finding("CLOCK_BACKWARDS", entry.time_us, (last, entry.place), facts)
        if 0 < self._options.max_gap_us < passed_us:
            facts = {"silence": duration(passed_us)}
            return Finding("LOG_SILENT", last_us, (last, entry.place), facts)
        return None

    def bad_line(self, place: Place, *, is_vault: bool) -> Finding:
        """Return the finding that a line is none."""
        code = "LINE_UNREADABLE" if is_vault else "SERVICE_LINE_UNREADABLE"
        return Finding(code, self._last_us, (place,))

    def line_ahead(self, place: Place) -> Finding:
        """Return the finding that a line is dated ahead of now."""
        return Finding("LINE_AHEAD", self._last_us, (place,))

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that it keeps, as JSON types."""
        return [self._last_us, self._last.log, self._last.line]

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
        self._last_us, log, line = state
        self._last = Place(log, line)
