"""Public halves of the keys by which Vault signs for the services."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from svc_runtime.audit_stream.chain import SIGNING_KEY_PREFIX, Head

_PREFIX: Final = "vault"
_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One version of a service's key.

    Attributes:
        service: Whose it is.
        version: By Vault's count.
        public_key: Raw, base64.
    """

    service: str
    version: int
    public_key: str


def read_signing_keys(path: Path) -> tuple[SigningKey, ...]:
    """Return the keys in *path*: what Vault answers when keys are read, one answer or several.

    `bao read -format=json keyturn-transit/keys/audit-keyvault-svc` prints such an answer.

    Raises:
        ValueError: It holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return tuple(key for answer in _objects(text) for key in _keys(answer))
    except OSError as error:
        problem = f"{path}: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = f"{path}: holds no public keys as Vault tells them"
    raise ValueError(problem)


class Signatures:
    """Checks signatures of heads."""

    def __init__(self, keys: tuple[SigningKey, ...]) -> None:
        """Know *keys*.

        Raises:
            ValueError: One is not of ed25519.
        """
        self._keys = {
            (key.service, key.version): Ed25519PublicKey.from_public_bytes(
                base64.b64decode(key.public_key, validate=True)
            )
            for key in keys
        }
        self.services = frozenset(key.service for key in keys)

    def is_right(self, service: str, head: Head, signature: str) -> bool:
        """Tell whether *signature*, `vault:v<version>:<base64>`, is that of *service* on *head*."""
        parts = signature.split(":")
        if len(parts) != _PARTS or parts[0] != _PREFIX:
            return False
        try:
            key = self._keys[service, int(parts[1].removeprefix("v"))]
            key.verify(base64.b64decode(parts[2], validate=True), head.message())
        except (KeyError, ValueError, binascii.Error, InvalidSignature):
            return False
        return True


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    decoder = json.JSONDecoder()
    rest = text.strip()
    while rest:
        found, end = decoder.raw_decode(rest)
        yield found
        rest = rest[end:].lstrip()


def _keys(answer: Mapping[str, Any]) -> Iterator[SigningKey]:
    data = answer["data"]
    service = data["name"].removeprefix(SIGNING_KEY_PREFIX)
    for version, key in data["keys"].items():
        raw = base64.b64decode(key["public_key"], validate=True)
        Ed25519PublicKey.from_public_bytes(raw)
        yield SigningKey(service, int(version), key["public_key"])
