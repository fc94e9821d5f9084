"""Which app's call an Envoy asks about: by the app's own token, and by nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway_svc.domain.key_name import KeyChoice
from gateway_svc.domain.roles import AppIds
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.workload_token import WorkloadTokens

_MAX_CHARACTERS: Final = 16 * 1024
# Three base64url parts. Envoy joins repeated headers by commas, which none of them holds.
_BEARER_JWT: Final = re.compile(r"(?i:bearer) +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+) *")


@dataclass(frozen=True, slots=True)
class Apps:
    """Who apps are, and which keys are theirs by default.

    What an Envoy says of an app's certificate counts for nothing: the key service could not check
    it, as it checks a token.
    """

    ids: AppIds
    tokens: WorkloadTokens
    key_choice: KeyChoice

    async def app_of(self, app_token: SecretBytes) -> SpiffeId:
        """Return the app that *app_token* proves.

        Raises:
            CallerUnverifiedError: It proves none.
            IssuerUnavailableError: The issuer's keys cannot be had.
        """
        return self.ids.must_be_app(await self.tokens.app_of(app_token))


def app_token_of(authorization: list[str]) -> SecretBytes:
    """Return the token in the values of the header.

    Raises:
        CallerUnverifiedError: There is none, or more than one.
    """
    match = _BEARER_JWT.fullmatch(authorization[0]) if len(authorization) == 1 else None
    if match is None or len(match[1]) > _MAX_CHARACTERS:
        raise CallerUnverifiedError
    return SecretBytes(match[1].encode("ascii"))
