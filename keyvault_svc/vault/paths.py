"""Every mount and path that the key service uses, built from parsed names only."""

from __future__ import annotations

from typing import Final

from keyvault_svc.domain.names import KeyName, OwnerName

KV_MOUNT: Final = "keyturn-kv"
TRANSIT_MOUNT: Final = "keyturn-transit"
TRANSIT_KEY: Final = "openai"


def record_path(name: KeyName) -> str:
    """Return where the record of *name* lies, below `KV_MOUNT`."""
    return f"{owner_path(name.owner)}/{name.key_id}"


def owner_path(owner: OwnerName) -> str:
    """Return the folder of the owner's records, below `KV_MOUNT`."""
    return f"{owner.kind}/{owner.owner_id}/keys"
