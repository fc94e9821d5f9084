"""Login by a token that somebody else maintains in a file, such as a Vault agent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from hvac.api.auth_methods import Token

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.answers import JSONObject
from svc_runtime.vault.errors import VaultAnswerError, VaultLoginError
from svc_runtime.vault.login import VaultToken, read_credential


@dataclass(frozen=True, slots=True)
class TokenFileLogin:
    """Login by a token in a file.

    Whoever maintains the file renews the token and revokes it; this process does neither. It
    reads the file again at two thirds of the token's remaining TTL, and when Vault refuses the
    token, and then uses what the file holds: the same token, renewed, or another one.

    Attributes:
        file: File with the token, with or without a final newline.
    """

    file: Path

    async def log_in(self, adapter: AsyncVaultAdapter) -> VaultToken:
        """Take the file's present token and look up its TTL; see `VaultLogin.log_in`."""
        client_token = await asyncio.to_thread(read_credential, self.file)
        try:
            answer = await Token(adapter.with_token(client_token)).lookup_self()
        except VaultAnswerError:
            answer = None
        if answer is None:
            raise VaultLoginError("Vault refuses the token of the token file")
        return _token_from_lookup(client_token, answer)


def _token_from_lookup(client_token: SecretBytes, answer: JSONObject) -> VaultToken:
    """Return *client_token* with what Vault says about it.

    Raises:
        VaultLoginError: *answer* does not describe a token.
    """
    match answer.get("data"):
        case {"ttl": int(ttl_seconds), **others}:
            accessor = str(others.get("accessor") or "")
            if others.get("expire_time") is not None:
                # Vault cuts off the fraction, and a TTL of 0 means a token that never expires.
                ttl_seconds = max(ttl_seconds, 1)
            return VaultToken(
                client_token, accessor, ttl_seconds, is_renewable=False, is_ours=False
            )
        case _:
            raise VaultLoginError("Vault's answer does not describe the token of the token file")
