"""Where it is noted which keys can be reconciled, as a contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags


class ReconciledKeys(Protocol):
    """Which keys can be reconciled, for want of a way to list all owners.

    Every method raises `VaultUnavailableError` when Vault cannot answer.
    """

    async def ids(self) -> Sequence[str]:
        """Return the ids of all entries."""

    async def read(self, entry_id: str, tags: AuditTags) -> KeyName | None:
        """Return which key an entry is about; None if it is gone.

        Raises:
            KeyRecordUnreadableError: What is stored is no entry.
        """

    async def add(self, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* can be reconciled. Idempotent."""

    async def remove(self, name: KeyName, tags: AuditTags) -> None:
        """Forget *name*. Idempotent."""
