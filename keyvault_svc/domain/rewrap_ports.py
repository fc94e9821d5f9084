"""What the rewrap job needs of the world: the transit key, its own progress, and all owners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.ports import AuditTags


@dataclass(frozen=True, slots=True)
class Epochs:
    """Versions of the transit key.

    Attributes:
        latest: What seals now.
        minimum: The oldest whose ciphertexts open.
    """

    latest: int
    minimum: int


@dataclass(frozen=True, slots=True)
class RewrapProgress:
    """How far the job has come, as stored.

    Attributes:
        first_epoch: The latest epoch when the job began.
        target: The epoch that every record shall reach; 0 until the transit key is rotated.
        rotate_time: When the target was known to seal; None before.
        done_owner: The last owner whose records were all seen, in order; empty for none.
        revision: Version of the stored progress, for check-and-set.
    """

    first_epoch: int
    target: int = 0
    rotate_time: datetime | None = None
    done_owner: str = ""
    revision: int = 0


class TransitEpochs(Protocol):
    """The transit key's versions. Every method raises `VaultUnavailableError` if it cannot."""

    async def current(self) -> Epochs:
        """Return the versions."""

    async def rotate(self) -> None:
        """Make a new version. Not idempotent."""

    async def rewrap(
        self, name: KeyName, ciphertexts: Sequence[str], tags: AuditTags
    ) -> Sequence[str]:
        """Return *ciphertexts*, sealed under *name*, as the latest version seals them.

        Raises:
            KeyRecordUnreadableError: One does not open under *name*.
        """

    async def raise_minimum(self, epoch: int) -> None:
        """Let no ciphertext open that was sealed before *epoch*. Idempotent."""


class RewrapLog(Protocol):
    """Where the progress is kept. Every method raises `VaultUnavailableError` if it cannot."""

    async def load(self) -> RewrapProgress | None:
        """Return the progress of a job that has not ended; None if there is none."""

    async def save(self, progress: RewrapProgress) -> RewrapProgress:
        """Store *progress* by check-and-set, and return it with its new revision.

        Raises:
            KeyChangedMeanwhileError: Another job has stored its own.
        """

    async def clear(self) -> None:
        """Forget the progress. Idempotent."""


class OwnerCatalogue(Protocol):
    """All owners."""

    async def owners(self) -> list[OwnerName]:
        """Return them, sorted by their names' text."""
