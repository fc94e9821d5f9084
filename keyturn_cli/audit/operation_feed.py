"""Operations at Vault in the order in which they are known, unanswered ones too."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from keyturn_cli.audit.entries import VaultEntry
from keyturn_cli.audit.log_span import LogSpan
from keyturn_cli.audit.operations import Operation
from keyturn_cli.audit.options import SECOND_US
from keyturn_cli.audit.pairing import Pairing


class OperationFeed:
    """Makes operations of entries. What is missing between them is for the verification to tell.

    Attributes:
        span: From when to when the entries are.
    """

    def __init__(self, skew_us: int) -> None:
        self.span = LogSpan(skew_us)
        self._pairing = Pairing(self.span)
        self._next_tick_us = 0

    def see(self, entry: VaultEntry) -> Iterator[Operation]:
        """Yield the operation that *entry* ends, and those that have waited for long."""
        self.span.see(entry.time_us, entry.path)
        operation, _ = self._pairing.see(entry)
        if operation is not None:
            yield operation
        if entry.time_us >= self._next_tick_us:
            self._next_tick_us = entry.time_us + SECOND_US
            yield from self._pairing.late(entry.time_us)
            deque(self._pairing.missing(entry.time_us), maxlen=0)  # only to forget them

    def finish(self) -> Iterator[Operation]:
        """Yield what nobody has answered."""
        yield from self._pairing.finish()
