"""The wrapped hand-off by Vault's response wrapping."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

from hvac.adapters import Adapter

from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.audit_headers import headers_for
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.answers import JSONObject
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.session import VaultSession


class ResponseWrapper:
    """`HandoffWrapper` on `sys/wrapping/wrap`, to which the policy allows short times only."""

    def __init__(self, session: VaultSession) -> None:
        self._session = session

    async def wrap(self, ciphertext: str, tags: AuditTags, lease_seconds: int) -> SecretBytes:
        """Return a token that can be exchanged for *ciphertext*; see `HandoffWrapper.wrap`."""

        def wrapping(adapter: Adapter) -> Awaitable[JSONObject]:
            answer = adapter.post(
                "/v1/sys/wrapping/wrap",
                json={"sealed_key": ciphertext},
                wrap_ttl=f"{lease_seconds}s",
            )
            return cast("Awaitable[JSONObject]", answer)

        answer = await self._session.call(wrapping, headers_for(tags))
        match answer:
            case {"wrap_info": {"token": str(token)}} if token.isascii() and token:
                return SecretBytes(token.encode())
            case _:
                raise VaultUnavailableError
