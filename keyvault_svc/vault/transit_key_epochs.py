"""The versions of the transit key: rotate, rewrap, raise the minimum."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import cast

from hvac.api.secrets_engines import Transit

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.rewrap_ports import Epochs
from keyvault_svc.vault.audit_headers import headers_for
from keyvault_svc.vault.paths import TRANSIT_KEY, TRANSIT_MOUNT
from svc_runtime.vault.errors import VaultBadRequestError
from svc_runtime.vault.session import VaultSession


class TransitKeyEpochs:
    """`TransitEpochs` with the identity of the maintenance job."""

    def __init__(self, session: VaultSession) -> None:
        self._session = session

    async def current(self) -> Epochs:
        """Return the versions."""
        answer = await self._session.call(
            lambda adapter: Transit(adapter).read_key(TRANSIT_KEY, mount_point=TRANSIT_MOUNT), {}
        )
        data = cast("dict[str, int]", answer["data"])
        return Epochs(data["latest_version"], data["min_decryption_version"])

    async def rotate(self) -> None:
        """Make a new version."""
        await self._session.call(
            lambda adapter: Transit(adapter).rotate_key(TRANSIT_KEY, mount_point=TRANSIT_MOUNT), {}
        )

    async def rewrap(self, name: KeyName, ciphertexts: Sequence[str], tags: AuditTags) -> list[str]:
        """Return *ciphertexts* as the latest version seals them; one request for each.

        Raises:
            KeyRecordUnreadableError: One does not open under *name*.
        """
        return [await self._rewrapped(name, ciphertext, tags) for ciphertext in ciphertexts]

    async def _rewrapped(self, name: KeyName, ciphertext: str, tags: AuditTags) -> str:
        try:
            answer = await self._session.call(
                lambda adapter: Transit(adapter).rewrap_data(
                    TRANSIT_KEY,
                    ciphertext=ciphertext,
                    context=base64.b64encode(str(name).encode()).decode(),
                    mount_point=TRANSIT_MOUNT,
                ),
                headers_for(tags),
            )
        except VaultBadRequestError:
            answer = None
        if answer is None:
            raise KeyRecordUnreadableError
        return cast("dict[str, str]", answer["data"])["ciphertext"]

    async def raise_minimum(self, epoch: int) -> None:
        """Let no older ciphertext open."""
        await self._session.call(
            lambda adapter: Transit(adapter).update_key_configuration(
                TRANSIT_KEY, min_decryption_version=epoch, mount_point=TRANSIT_MOUNT
            ),
            {},
        )
