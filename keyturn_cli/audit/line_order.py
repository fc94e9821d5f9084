"""Whether the lines of a log stand in the order in which they were written."""

from __future__ import annotations

from typing import Final

from keyturn_cli.audit.entries import Place

_KEPT_LOGS: Final = 256


class LineOrder:
    """Sees lines by their time, and tells when that is not the order of the log.

    A log whose numbers begin anew, because it was rotated, is in order.
    """

    def __init__(self) -> None:
        # By log: the last line, and the one before the last jump ahead; 0 before any.
        self._logs: dict[str, tuple[int, int]] = {}

    def is_moved(self, place: Place) -> bool:
        """Tell whether the line at *place*, or the one before it by time, stands elsewhere.

        So it is when numbers go back into a part that was jumped over before.
        """
        last, before_jump = self._logs.pop(place.log, (0, 0))
        is_moved = bool(before_jump) and before_jump < place.line < last
        if place.line > last + 1 and last:
            before_jump = last
        elif place.line < last:
            before_jump = 0
        self._logs[place.log] = (place.line, before_jump)
        while len(self._logs) > _KEPT_LOGS:
            del self._logs[next(iter(self._logs))]
        return is_moved

    def state(self) -> dict[str, list[int]]:
        """Return all that is kept, as JSON types."""
        return {log: list(lines) for log, lines in self._logs.items()}

    def restore(self, state: dict[str, list[int]]) -> None:
        """Go on from *state*."""
        self._logs = {log: (last, before_jump) for log, (last, before_jump) in state.items()}
