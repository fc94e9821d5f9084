"""Baselines in a dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from keyvault_svc.domain.anomalies.baseline_store import Change, Operation
from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.names import OwnerName


class FakeBaselineStore:
    """`BaselineStore` in memory.

    Attributes:
        answers_left: How many calls are answered until it goes away; None for all.
    """

    def __init__(self) -> None:
        self._figures: dict[tuple[OwnerName, str], dict[str, int]] = {}
        self.answers_left: int | None = None

    async def read(self, owner: OwnerName, grant_id: str) -> Mapping[str, int]:
        """See `BaselineStore.read`."""
        self._answer()
        return dict(self._figures.get((owner, grant_id), {}))

    async def change(
        self, owner: OwnerName, grant_id: str, changes: Sequence[Change], now: datetime
    ) -> Mapping[str, int]:
        """See `BaselineStore.change`."""
        del now
        self._answer()
        figures = self._figures.setdefault((owner, grant_id), {})
        for change in changes:
            apply(figures, change)
        return dict(figures)

    async def close(self) -> None:
        """See `BaselineStore.close`."""

    def _answer(self) -> None:
        if self.answers_left is not None:
            if self.answers_left == 0:
                raise LimitStoreUnavailableError
            self.answers_left -= 1


def apply(figures: dict[str, int], change: Change) -> None:
    """Make *change* to *figures*."""
    word, value = change.word, change.value
    match change.operation:
        case Operation.ADD:
            figures[word] = figures.get(word, 0) + value
        case Operation.RAISE:
            figures[word] = max(figures.get(word, value), value)
        case Operation.CLAIM:
            figures.setdefault(word, value)
        case Operation.DROP:
            figures.pop(word, None)
