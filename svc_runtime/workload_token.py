"""Which workload a token proves."""

from __future__ import annotations

from collections.abc import Mapping

from svc_runtime.jwt_verifier import JWTVerifier
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId


class WorkloadTokens:
    """Turns a verified token into the workload's SPIFFE id."""

    def __init__(self, verifier: JWTVerifier, claim_of_issuer: Mapping[str, str]) -> None:
        """Read the SPIFFE id from the claim that *claim_of_issuer* names for the token's issuer.

        A JWT-SVID has it in `sub`.
        """
        self._verifier = verifier
        self._claim_of_issuer = claim_of_issuer

    async def app_of(self, app_token: SecretBytes) -> SpiffeId:
        """Return the workload that *app_token* proves.

        Raises:
            CallerUnverifiedError: It proves none.
            IssuerUnavailableError: The issuer's keys cannot be had.
        """
        verified = await self._verifier.verify(app_token)
        claim = verified.claims.get(self._claim_of_issuer[verified.issuer])
        if isinstance(claim, str):
            try:
                return SpiffeId.parse(claim)
            except ValueError:
                pass
        raise CallerUnverifiedError
