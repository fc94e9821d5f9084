"""From settings to verifiers of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from svc_runtime.clock import Clock
from svc_runtime.jwt_verifier import JWTIssuer, JWTVerifier
from svc_runtime.settings_models import AppIssuerSettings, IssuerSettings
from svc_runtime.workload_token import WorkloadTokens


def jwt_verifier(issuers: Sequence[IssuerSettings], clock: Clock) -> JWTVerifier:
    """Return a verifier of tokens of *issuers*; of none, it refuses every token."""
    return JWTVerifier(
        [
            JWTIssuer(
                issuer.issuer,
                issuer.audience,
                issuer.jwks_url,
                issuer.ca_file,
                issuer.max_token_lifetime_seconds,
            )
            for issuer in issuers
        ],
        clock,
    )


def workload_tokens(verifier: JWTVerifier, issuers: Sequence[AppIssuerSettings]) -> WorkloadTokens:
    """Return what reads the app out of a token that *verifier* accepts."""
    return WorkloadTokens(verifier, {issuer.issuer: issuer.naming() for issuer in issuers})
