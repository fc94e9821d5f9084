"""Where sealed keys lie, the key that seals them, and those that sign audit streams."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from keyvault_svc.vault.bootstrap.convergence import (
    RIGHT,
    converge_fields,
    difference,
    differing_fields,
    mount_step,
)
from keyvault_svc.vault.bootstrap.errors import MountUpgradingError, SetupConflictError
from keyvault_svc.vault.bootstrap.step import Finding, Step, StepOutcome
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin
from keyvault_svc.vault.paths import (
    AUDIT_KEYS,
    FINGERPRINT_KEY,
    KV_MOUNT,
    TRANSIT_KEY,
    TRANSIT_MOUNT,
)

_KV_CONFIG: Final = {"cas_required": True, "max_versions": 10}
# Fixed for the life of a transit key: Vault cannot take any of them back. The first two would let
# the key out of Vault; `convergent_encryption` would make equal plaintexts visible.
_STAYS_IN_VAULT: Final = {"exportable": False, "allow_plaintext_backup": False}
_KEY_NATURE: Final = {
    "type": "aes256-gcm96",
    "derived": True,
    "convergent_encryption": False,
    **_STAYS_IN_VAULT,
}
# Only for fingerprints, which must be equal for equal plaintexts under whatever name. Of a key that
# is not derived, Vault does not tell `convergent_encryption`.
_FINGERPRINT_KEY_NATURE: Final = {"type": "aes256-gcm96", "derived": False, **_STAYS_IN_VAULT}
# Its public half verifies audit streams; the other half signs, and stays in Vault like all others.
_AUDIT_KEY_NATURE: Final = {"type": "ed25519", "derived": False, **_STAYS_IN_VAULT}
_KEY_CONFIG: Final = {"deletion_allowed": False}
_UPGRADE_TRIES: Final = 100
_UPGRADE_PAUSE_SECONDS: Final = 0.1  # a new KV v2 mount takes well under a second; 10 s in all


def key_storage_steps() -> list[Step]:
    """Return the steps that keep the KV store and the transit keys."""
    return [
        mount_step("sys/mounts", KV_MOUNT, "kv", version="2"),
        Step(f"configuration of {KV_MOUNT}/", _converge_kv_config),
        mount_step("sys/mounts", TRANSIT_MOUNT, "transit"),
        _transit_key_step(TRANSIT_KEY, _KEY_NATURE),
        _transit_key_step(FINGERPRINT_KEY, _FINGERPRINT_KEY_NATURE),
        *(_transit_key_step(name, _AUDIT_KEY_NATURE) for name in AUDIT_KEYS),
    ]


def _converge_kv_config(vault: VaultAdmin) -> Finding:
    return retry_while_upgrading(
        lambda: converge_fields(vault, f"{KV_MOUNT}/config", _KV_CONFIG), time.sleep
    )


def retry_while_upgrading(action: Callable[[], Finding], sleep: Callable[[float], None]) -> Finding:
    """Return what *action* finds once the new KV mount serves requests.

    KV v2 refuses requests for a moment after it is mounted (docs "KV version 2, Setup").

    Raises:
        MountUpgradingError: It still refuses after about 10 seconds.
    """
    for _ in range(_UPGRADE_TRIES - 1):
        try:
            return action()
        except MountUpgradingError:
            sleep(_UPGRADE_PAUSE_SECONDS)
    return action()


def _transit_key_step(name: str, nature: Mapping[str, object]) -> Step:
    path = f"{TRANSIT_MOUNT}/keys/{name}"

    def converge(vault: VaultAdmin) -> Finding:
        current = vault.read(path)
        if current is None:
            vault.write(path, nature)  # a new key cannot be deleted, so no configuration
            return Finding(StepOutcome.CREATED)
        wrong = differing_fields(current, nature)
        if wrong:
            raise SetupConflictError(
                f"The transit key {name} exists with the wrong {', '.join(wrong)}.",
                "Vault cannot change this. Find out who made the key; if nothing was made with "
                "it, delete it, then run the bootstrap again.",
            )
        if not differing_fields(current, _KEY_CONFIG):
            return RIGHT
        vault.write(f"{path}/config", _KEY_CONFIG)
        return Finding(StepOutcome.CHANGED, difference(current, _KEY_CONFIG))

    return Step(f"transit key {name}", converge)
