"""Where the operators' controls are kept, as a contract."""

from __future__ import annotations

from typing import Protocol

from keyvault_svc.domain.controls import Controls
from keyvault_svc.domain.ports import AuditTags


class ControlsStore(Protocol):
    """Keeps the controls. Every method raises `VaultUnavailableError` when it cannot.

    Whoever serves by them must not serve when they cannot be read.
    """

    async def read(self, tags: AuditTags) -> Controls:
        """Return the controls as stored now, by exactly one read; none while nothing is stored.

        Raises:
            KeyRecordUnreadableError: What is stored cannot be understood, in whole.
        """

    async def write(self, controls: Controls, tags: AuditTags) -> None:
        """Store *controls* if the stored revision is still `controls.revision`.

        Raises:
            KeyChangedMeanwhileError: The revision is another; nothing was written.
            TooManySuspensionsError: They are more than may be stored.
        """
