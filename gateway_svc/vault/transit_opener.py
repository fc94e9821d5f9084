"""Opens sealed keys by Vault's transit engine."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Final, cast

import structlog
from hvac.api.secrets_engines import Transit

from gateway_svc.domain.errors import SealedKeyUnusableError
from gateway_svc.domain.lease_ports import KeyPurpose, Lease
from gateway_svc.vault.unwrapper import Unwrapper
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultBadRequestError, VaultUnavailableError
from svc_runtime.vault.session import VaultSession

_log = structlog.get_logger()

_MOUNT: Final = "keyturn-transit"
_TRANSIT_KEY: Final = "openai"
_MAX_SECONDS: Final = 5.0  # a decrypt takes a millisecond; longer means that Vault is in trouble


class TransitOpener:
    """`KeyOpener` on the derived transit key. Caches nothing: every opening is a decrypt."""

    def __init__(self, session: VaultSession, unwrapper: Unwrapper) -> None:
        self._session = session
        self._unwrapper = unwrapper

    async def open(self, purpose: KeyPurpose, lease: Lease, timeout_seconds: float) -> SecretBytes:
        """Return the plaintext; see `KeyOpener.open`.

        The derivation context is the name that the app asked for, never anything that the lease
        says: a record that was copied under another key's name does not open.
        """
        headers = {
            "X-Keyturn-Request-Id": purpose.request_id,
            "X-Keyturn-Lease": lease.lease_id,
            "X-Keyturn-App": str(purpose.app),
            "X-Keyturn-Key": str(purpose.key),
        }
        seconds = min(timeout_seconds, _MAX_SECONDS)
        try:
            async with asyncio.timeout(seconds):  # of unwrapping and decrypting together
                ciphertext = lease.ciphertext
                if lease.wrapping_token is not None:
                    ciphertext = await self._unwrapper.sealed_key(
                        lease.wrapping_token, lease, headers, seconds
                    )
                return await self._decrypt(ciphertext, purpose, headers, seconds)
        except TimeoutError:
            _log.warning("vault_unavailable", cause="timeout")
        raise VaultUnavailableError

    async def _decrypt(
        self, ciphertext: str, purpose: KeyPurpose, headers: Mapping[str, str], seconds: float
    ) -> SecretBytes:
        try:
            answer = await self._session.call(
                lambda adapter: Transit(adapter).decrypt_data(
                    _TRANSIT_KEY,
                    ciphertext=ciphertext,
                    context=base64.b64encode(str(purpose.key).encode()).decode(),
                    mount_point=_MOUNT,
                ),
                headers,
                timeout_seconds=seconds,
            )
            return SecretBytes(
                base64.b64decode(cast("dict[str, str]", answer["data"])["plaintext"])
            )
        except (VaultBadRequestError, KeyError, ValueError, binascii.Error):
            pass
        # Here, not inside `except`: a decoding error holds what it could not decode.
        raise SealedKeyUnusableError
