"""Which workload a token proves."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from svc_runtime.app_naming import AppNaming, NoAppError
from svc_runtime.jwt_verifier import JWTVerifier
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId

_log = structlog.get_logger()


class WorkloadTokens:
    """Turns a verified token into the workload's SPIFFE id."""

    def __init__(self, verifier: JWTVerifier, naming_of_issuer: Mapping[str, AppNaming]) -> None:
        """Read the SPIFFE id as *naming_of_issuer* says for the token's issuer."""
        self._verifier = verifier
        self._naming_of_issuer = naming_of_issuer

    async def app_of(self, app_token: SecretBytes) -> SpiffeId:
        """Return the workload that *app_token* proves.

        Raises:
            CallerUnverifiedError: It proves none; the log alone says why.
            IssuerUnavailableError: The issuer's keys cannot be had.
        """
        verified = await self._verifier.verify(app_token)
        try:
            return self._naming_of_issuer[verified.issuer].app_of(verified.claims)
        except NoAppError as error:
            _log.info("token_refused", issuer=verified.issuer, detail=_word(error))
        raise CallerUnverifiedError


def _word(error: NoAppError) -> str:
    """Return the rule that *error* names, as one word: of sentences the log keeps nothing."""
    return str(error).replace(" ", "_")
