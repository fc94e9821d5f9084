"""Reads a JWKS: the keys that may verify tokens, and no others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import jwt
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_log = structlog.get_logger()

# Asymmetric only: with a symmetric algorithm an issuer's public key would be a forger's secret.
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
# RFC 7517, section 4.2; SPIFFE bundles call the keys of JWT-SVIDs by a name of their own.
_USES: Final = ("sig", "jwt-svid")
_MIN_RSA_BITS: Final = 2048  # RFC 7518, section 3.3

Keyset = dict[str, jwt.PyJWK]


def parse_jwks(body: bytes) -> Keyset:
    """Return the keys of a JWKS by id.

    What is no key that verifies tokens is left out, and so are all keys of an id that different
    keys have: which of them is meant would be anybody's choice.

    Raises:
        ValueError: *body* is no JWKS.
    """
    try:
        jwks = json.loads(body)
    except (ValueError, RecursionError):
        jwks = None
    entries = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWKS")  # noqa: TRY004 - it is the content that is wrong
    keyset: Keyset = {}
    material: dict[str, tuple[object, ...]] = {}
    for entry in entries:
        key = _usable(entry)
        if key is None or not isinstance(key.key_id, str):
            continue
        if material.setdefault(key.key_id, _material(entry)) == _material(entry):
            keyset[key.key_id] = key
        elif keyset.pop(key.key_id, None) is not None:
            _log.warning("issuer_key_ambiguous", detail="several_keys_of_one_id")
    return keyset


def _usable(entry: object) -> jwt.PyJWK | None:
    if not isinstance(entry, dict) or not _is_for_verifying(entry):
        return None
    try:
        key = jwt.PyJWK(entry)
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, AttributeError):
        return None
    if key.algorithm_name not in ALGORITHMS:
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < _MIN_RSA_BITS:
        return None
    return key


def _is_for_verifying(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    # A private key that somebody published by mistake is everybody's.
    return (
        entry.get("use", "sig") in _USES
        and isinstance(operations, list)
        and "verify" in operations
        and "d" not in entry
    )


def _material(entry: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(str(entry.get(name)) for name in ("kty", "alg", "crv", "n", "e", "x", "y"))
