"""From when to when the logs of one service are known, and whether its processes have ended."""

from __future__ import annotations

from typing import Any, Final

from keyturn_cli.audit.entries import ServiceRecord
from keyturn_cli.audit.options import SECOND_US

# A process renews its token every ten minutes, and says so: a log that says nothing for longer
# is not being told of, or is not given.
PATIENCE_US: Final = 900 * SECOND_US
_END: Final = "audit_stream_closed"
_AFTER_THE_END: Final = "audit_checkpoint"


class ServiceSpan:
    """The times that the logs of a service's replicas cover."""

    def __init__(self, service: str, skew_us: int) -> None:
        self._service = service
        self._skew_us = skew_us
        self._first_us = 0
        self._last_us = 0
        self._running: set[str] = set()  # the chains of processes that have not ended

    def see(self, record: ServiceRecord) -> bool:
        """Take a record of any service; return whether it is of this one."""
        if record.text("service") != self._service:
            return False
        self._first_us = self._first_us or record.time_us
        self._last_us = max(self._last_us, record.time_us)
        chain, event = record.text("chain"), record.text("event")
        if event == _END:
            self._running.discard(chain)
        elif chain and event != _AFTER_THE_END:
            self._running.add(chain)
        return True

    def may_tell(self, time_us: int) -> bool:
        """Return whether there may be records of *time_us*, as far as is known by then."""
        has_begun = 0 < self._first_us <= time_us + self._skew_us
        return has_begun and time_us - self._last_us <= PATIENCE_US

    def has_told(self, time_us: int) -> bool:
        """Return whether the logs, of which all is known now, cover *time_us*."""
        return 0 < self._first_us <= time_us - self._skew_us and time_us <= self._last_us

    def must_have_told(self, time_us: int, within_us: int) -> bool:
        """Return whether what is written *within_us* of *time_us* must be there by now."""
        return self.has_told(time_us if self.has_ended else time_us + within_us)

    @property
    def has_ended(self) -> bool:
        """Whether every process has ended, so that nothing more is to come."""
        return not self._running

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that is kept, as JSON types."""
        return [self._first_us, self._last_us, sorted(self._running)]

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
        self._first_us, self._last_us, running = state
        self._running = set(running)
