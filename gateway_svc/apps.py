"""Who apps are by their tokens: one rule for every port that takes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway_svc.domain.key_name import KeyChoice
from gateway_svc.domain.roles import APP, AppIds
from svc_runtime.caller import Caller
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.workload_token import WorkloadTokens

_MAX_CHARACTERS: Final = 16 * 1024
# Three base64url parts: a JWT. Envoy joins repeated headers by commas, which none of them holds.
_BEARER_JWT: Final = re.compile(r"(?i:bearer) +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+) *")


@dataclass(frozen=True, slots=True)
class Apps:
    """Who apps are, and which keys are theirs by default."""

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

    async def caller_of(self, app_token: SecretBytes) -> Caller:
        """Return the app that *app_token* proves, with the token, as a caller of the APIs.

        Raises:
            CallerUnverifiedError: It proves none.
            IssuerUnavailableError: The issuer's keys cannot be had.
        """
        return Caller(str(await self.app_of(app_token)), frozenset({APP}), token=app_token)


def app_token_of(authorization: Sequence[str]) -> SecretBytes | None:
    """Return the token in the values of the header; None where it holds no JWT.

    An SDK always sends some api_key; what is no token is a placeholder, and proves nothing.

    Raises:
        CallerUnverifiedError: There is more than one value.
    """
    if len(authorization) > 1:
        raise CallerUnverifiedError
    match = _BEARER_JWT.fullmatch(authorization[0]) if authorization else None
    if match is None or len(match[1]) > _MAX_CHARACTERS:
        return None
    return SecretBytes(match[1].encode("ascii"))
