"""Signs the heads of a service's audit stream by Vault's transit engine."""

from __future__ import annotations

import base64
from typing import Final, cast

from hvac.api.secrets_engines import Transit

from svc_runtime.audit_stream.chain import SIGNING_KEY_PREFIX, Head
from svc_runtime.call_context import bind_request_id
from svc_runtime.vault.errors import VaultBadRequestError, VaultNotFoundError, VaultUnavailableError
from svc_runtime.vault.session import VaultSession

_MOUNT: Final = "keyturn-transit"
_MAX_SECONDS: Final = 5.0  # a signature takes a millisecond


class TransitSigner:
    """`HeadSigner` on the service's own ed25519 key, which never leaves Vault."""

    def __init__(self, session: VaultSession, service: str) -> None:
        self._session = session
        self._key = f"{SIGNING_KEY_PREFIX}{service}"

    async def sign(self, head: Head) -> str:
        """Return Vault's signature, `vault:v<version>:<base64>`; see `HeadSigner.sign`."""
        with bind_request_id(head.request_id()):
            return await self._sign(head)

    async def _sign(self, head: Head) -> str:
        try:
            answer = await self._session.call(
                lambda adapter: Transit(adapter).sign_data(
                    self._key,
                    hash_input=base64.b64encode(head.message()).decode(),
                    mount_point=_MOUNT,
                ),
                {"X-Keyturn-Request-Id": head.request_id()},
                timeout_seconds=_MAX_SECONDS,
            )
            return cast("dict[str, str]", answer["data"])["signature"]
        except (VaultBadRequestError, VaultNotFoundError, KeyError):
            pass  # the key is missing, or not one that signs
        raise VaultUnavailableError
