"""Sealing by Vault's transit engine. There is no decrypt here, nor in the service's policy."""

from __future__ import annotations

import base64
from typing import cast

from hvac.api.secrets_engines import Transit

from keyvault_svc.domain.key_version import SealedKey
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.audit_headers import headers_for
from keyvault_svc.vault.paths import FINGERPRINT_KEY, TRANSIT_KEY, TRANSIT_MOUNT
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.session import VaultSession


class TransitSealer:
    """`KeySealer` on the derived transit key; the derivation context is the key's name."""

    def __init__(self, session: VaultSession) -> None:
        self._session = session

    async def seal(self, name: KeyName, api_key: SecretBytes, tags: AuditTags) -> SealedKey:
        """Seal *api_key* under *name*; see `KeySealer.seal`."""
        fingerprint = await self.fingerprint(api_key, tags)
        answer = await self._session.call(
            lambda adapter: Transit(adapter).encrypt_data(
                TRANSIT_KEY,
                plaintext=base64.b64encode(api_key.expose()).decode(),
                context=base64.b64encode(str(name).encode()).decode(),
                mount_point=TRANSIT_MOUNT,
            ),
            headers_for(tags),
        )
        return SealedKey(cast("dict[str, str]", answer["data"])["ciphertext"], fingerprint)

    async def fingerprint(self, api_key: SecretBytes, tags: AuditTags) -> str:
        """Return the keyed hash of *api_key*; see `KeySealer.fingerprint`."""
        answer = await self._session.call(
            lambda adapter: Transit(adapter).generate_hmac(
                FINGERPRINT_KEY,
                hash_input=base64.b64encode(api_key.expose()).decode(),
                # Fingerprints are compared for years: another version would give others.
                key_version=1,
                algorithm="sha2-256",
                mount_point=TRANSIT_MOUNT,
            ),
            headers_for(tags),
        )
        return cast("dict[str, str]", answer["data"])["hmac"]
