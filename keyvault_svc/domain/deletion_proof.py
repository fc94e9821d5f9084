"""What shows that a key is gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keyvault_svc.domain.names import KeyName


@dataclass(frozen=True, slots=True)
class DeletionProof:
    """What the destruction of a key destroyed; Vault was asked afterwards, and has nothing left.

    Attributes:
        destroyed_version_count: Versions of the record that Vault reported as destroyed.
        confirm_time: When Vault confirmed that there is no such record.
    """

    key: KeyName
    destroyed_version_count: int
    confirm_time: datetime
