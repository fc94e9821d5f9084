"""Every mount and path that the key service uses, built from parsed names only."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import Final

from keyvault_svc.domain.names import KeyName, OwnerName

KV_MOUNT: Final = "keyturn-kv"
TRANSIT_MOUNT: Final = "keyturn-transit"
TRANSIT_KEY: Final = "openai"
FINGERPRINT_KEY: Final = "fingerprint"
AUDIT_KEYS: Final = ("audit-keyvault-svc", "audit-gateway-svc")
"""Of each service one, which signs its audit stream."""
VERIFICATIONS: Final = "verifications"
RETIREMENTS: Final = "retirements"
RECONCILED: Final = "reconciled"
REWRAP_PROGRESS: Final = "maintenance/rewrap"
# No key's record can lie here: those are below `users/` and `teams/`.
CONTROLS: Final = "operator/controls"


def record_path(name: KeyName) -> str:
    """Return where the record of *name* lies, below `KV_MOUNT`."""
    return f"{owner_path(name.owner)}/{name.key_id}"


def owner_path(owner: OwnerName) -> str:
    """Return the folder of the owner's records, below `KV_MOUNT`."""
    return f"{owner.kind}/{owner.owner_id}/keys"


def fingerprint_path(fingerprint: str) -> str:
    """Return where the keys that hold a plaintext are noted, below `KV_MOUNT`.

    A fingerprint is no path: it holds `/`, `+` and the version of the key that made it.
    """
    return f"fingerprints/{hashlib.sha256(fingerprint.encode()).hexdigest()}"


def grant_requests_path(owner: OwnerName) -> str:
    """Return where the requests for grants to *owner* lie, below `KV_MOUNT`.

    A path of the same form for every owner, whether or not there is such an owner.
    """
    return f"grant-requests/{hashlib.sha256(str(owner).encode()).hexdigest()}"


def verification_id(name: KeyName) -> str:
    """Return the id of the key's entry where keys are listed: the hash of its name."""
    return hashlib.sha256(str(name).encode()).hexdigest()


def verification_path(entry_id: str) -> str:
    """Return where an entry of the queue of verifications lies, below `KV_MOUNT`."""
    return f"{VERIFICATIONS}/{entry_id}"


def reconciled_path(entry_id: str) -> str:
    """Return where it is noted that a key can be reconciled, below `KV_MOUNT`."""
    return f"{RECONCILED}/{entry_id}"


def retirement_id(name: KeyName, due_time: datetime) -> str:
    """Return the id of an entry in the queue of retirements, which is sorted by time."""
    seconds = math.ceil(due_time.timestamp())
    return f"{seconds:012d}-{verification_id(name)[:32]}"


def retirement_due_seconds(entry_id: str) -> int:
    """Return when the entry is due, in Unix time."""
    return int(entry_id.partition("-")[0])


def retirement_path(entry_id: str) -> str:
    """Return where an entry of the queue of retirements lies, below `KV_MOUNT`."""
    return f"{RETIREMENTS}/{entry_id}"
