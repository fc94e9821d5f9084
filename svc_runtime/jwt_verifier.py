"""Verifies tokens of the issuers that settings name, by the issuers' published keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
import structlog

from svc_runtime.clock import Clock
from svc_runtime.issuer_keys import IssuerKeys
from svc_runtime.jwks import ALGORITHMS
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, ServiceError

_log = structlog.get_logger()

_MAX_TOKEN_BYTES: Final = 16 * 1024
_LEEWAY_SECONDS: Final = 30


class IssuerUnavailableError(ServiceError):
    """A token cannot be judged: its issuer's keys cannot be had."""

    reason = "ISSUER_UNAVAILABLE"
    public_message = (
        "The token's issuer cannot be reached, so the token cannot be checked now. "
        "Nothing was refused; try again shortly."
    )
    retry_after_seconds = 1.0


@dataclass(frozen=True, slots=True)
class JWTIssuer:
    """One trusted issuer.

    Attributes:
        issuer: What its tokens say in `iss`.
        audience: What they must say in `aud`.
        jwks_url: Where its keys are, JWKS.
        ca_file: CA of that server, where it is not a public one.
        max_lifetime_seconds: The longest time from `iat` to `exp`.
    """

    issuer: str
    audience: str
    jwks_url: str
    ca_file: Path | None = None
    max_lifetime_seconds: float = 86400


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """What a verified token says."""

    issuer: str
    claims: Mapping[str, Any]


class JWTVerifier:
    """Verifies tokens. Every defect of a token is one and the same refusal to its bearer."""

    def __init__(self, issuers: Sequence[JWTIssuer], clock: Clock) -> None:
        """Trust *issuers*; with none, every token is refused."""
        self._issuers = {
            issuer.issuer: (issuer, IssuerKeys(issuer.jwks_url, issuer.ca_file, clock))
            for issuer in issuers
        }
        self._clock = clock

    async def verify(self, unverified_token: SecretBytes) -> VerifiedClaims:
        """Return what the token says, once all of this holds.

        1. It is a JWT of bounded size without critical extensions, of an allowed algorithm.
        2. It names a trusted issuer.
        3. It is signed by a key of that issuer which is for that algorithm.
        4. Audience, expiry, not-before and issue time are right, with 30 s for clock skew.
        5. From its issue to its expiry it is no longer than the issuer's tokens may be.

        Raises:
            CallerUnverifiedError: Something of it does not hold.
            IssuerUnavailableError: The issuer's keys cannot be had.
        """
        try:
            unverified = _peek(unverified_token)  # (1)
            issuer, keys = self._issuers[unverified.issuer]  # (2)
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, RecursionError) as error:
            return _refuse(type(error).__name__)
        keyset = await keys.with_key(unverified.key_id)  # (3)
        if keyset is None:
            raise IssuerUnavailableError
        try:
            key = keyset[unverified.key_id]
            if key.algorithm_name != unverified.algorithm:
                return _refuse("algorithm")
            claims = jwt.decode(  # (4)
                unverified_token.expose(),
                key=key,
                algorithms=[unverified.algorithm],
                audience=issuer.audience,
                issuer=issuer.issuer,
                # Its times are compared with our clock, below.
                options={
                    "require": ["exp", "iat", "iss", "aud"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            return _refuse(type(error).__name__)
        if not _is_current(claims, self._clock.now().timestamp()):
            return _refuse("time")
        if claims["exp"] > claims["iat"] + issuer.max_lifetime_seconds:  # (5)
            return _refuse("lifetime")
        return VerifiedClaims(issuer.issuer, claims)

    async def aclose(self) -> None:
        """Close the connections to the issuers."""
        for _, keys in self._issuers.values():
            await keys.close()


@dataclass(frozen=True, slots=True)
class _Unverified:
    """What a token says of itself: enough to find the key that may have signed it."""

    algorithm: str
    key_id: str
    issuer: str


def _peek(unverified_token: SecretBytes) -> _Unverified:
    if len(unverified_token.expose()) > _MAX_TOKEN_BYTES:
        raise ValueError
    header = jwt.get_unverified_header(unverified_token.expose())
    if header.get("alg") not in ALGORITHMS or "crit" in header:
        raise jwt.InvalidAlgorithmError
    key_id = header["kid"]
    issuer = jwt.decode(unverified_token.expose(), options={"verify_signature": False})["iss"]
    if not isinstance(key_id, str) or not isinstance(issuer, str):
        raise TypeError
    return _Unverified(header["alg"], key_id, issuer)


def _is_current(claims: Mapping[str, Any], now: float) -> bool:
    """Tell whether *now*, in seconds since 1970, lies in the token's validity."""
    times: list[float] = [claims["exp"], claims["iat"], claims.get("nbf", claims["iat"])]
    # RFC 7519, section 2: a NumericDate is a number. Python's JSON also knows NaN, which is never
    # too late.
    if not all(
        type(time) is int or (type(time) is float and math.isfinite(time)) for time in times
    ):
        return False
    expiry, *starts = times
    return expiry > now - _LEEWAY_SECONDS and max(starts) <= now + _LEEWAY_SECONDS


def _refuse(cause: str) -> VerifiedClaims:
    """Refuse a token; the log alone says why.

    Raises:
        CallerUnverifiedError: Always.
    """
    _log.info("token_refused", detail=cause)
    raise CallerUnverifiedError
