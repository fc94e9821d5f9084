"""Where baselines are kept, as a contract that every store meets alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from keyvault_svc.domain.names import OwnerName

KEEP_BASELINE: Final = timedelta(days=400)  # after its last change, as networks


class Operation(StrEnum):
    """What can be done to one figure of a baseline."""

    ADD = "add"  # to what there is; to 0 where there is none
    RAISE = "raise"  # to at least the value
    CLAIM = "claim"  # set it, unless there is one
    DROP = "drop"  # remove it


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one figure.

    Attributes:
        value: From 0 to 2^52; of no meaning when a figure is dropped.
    """

    operation: Operation
    word: str
    value: int = 0


class BaselineStore(Protocol):
    """Keeps figures by grant and word, for all replicas that share it.

    Every method raises `LimitStoreUnavailableError` when the store cannot answer; it may have done
    some of what was asked nevertheless. Each change is atomic by itself, not all of a call.

    A figure goes between 400 days after its own last change and 400 days after the last of its
    grant, and with `LimitStore.forget`.
    """

    async def read(self, owner: OwnerName, grant_id: str) -> Mapping[str, int]:
        """Return all figures of a grant; none for a grant that has none."""

    async def change(
        self, owner: OwnerName, grant_id: str, changes: Sequence[Change], now: datetime
    ) -> Mapping[str, int]:
        """Make *changes*, and return all figures after them."""

    async def close(self) -> None:
        """Give back what is held open. Idempotent."""
