"""A verifier that believes whatever a test tells it to."""

from __future__ import annotations

from collections.abc import Mapping

from svc_runtime.jwt_verifier import JWTVerifier, VerifiedClaims
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from tests.fakes.fake_clock import FakeClock


class FakeJWTVerifier(JWTVerifier):
    """`JWTVerifier` without signatures.

    Attributes:
        tokens: Every token that was to be verified.
    """

    def __init__(
        self,
        answer: Mapping[str, object] | ServiceError,
        issuer: str = "https://issuer.example",
    ) -> None:
        """Answer every token with the claims, or the refusal, that *answer* is."""
        super().__init__([], FakeClock())
        self._answer = answer
        self._issuer = issuer
        self.tokens: list[SecretBytes] = []

    async def verify(self, unverified_token: SecretBytes) -> VerifiedClaims:
        """Return the claims, or raise the refusal."""
        self.tokens.append(unverified_token)
        if isinstance(self._answer, ServiceError):
            raise self._answer
        return VerifiedClaims(self._issuer, self._answer)
