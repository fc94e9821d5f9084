"""Bytes that may be carried anywhere but printed, copied or serialised nowhere."""

from __future__ import annotations

import hmac
from typing import ClassVar, NoReturn, final


@final
class SecretBytes:
    """A secret whose value leaves only through `expose()`.

    `repr()`, `str()` and `format()` are redacted; copying, pickling and hashing
    raise `TypeError`; `==` runs in constant time.

    This guards against accidents, not against code running in the process:
    CPython cannot wipe `bytes`, so copies can outlive the request.
    """

    __slots__ = ("_value",)
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable on purpose: a hash invites a cache

    def __init__(self, value: bytes) -> None:
        """Wrap *value*.

        Args:
            value: The secret, at least 1 byte.

        Raises:
            ValueError: *value* is empty. An empty credential is how a client
                library falls back to somebody else's.
        """
        if not value:
            raise ValueError("a secret must not be empty")
        self._value = value

    def expose(self) -> bytes:
        """Return the raw secret. Never bind the result to a name."""
        return self._value

    def lines(self) -> list[SecretBytes]:
        """Return its lines that are not empty, each a secret without what ends or surrounds it."""
        return [SecretBytes(line.strip()) for line in self._value.splitlines() if line.strip()]

    def __repr__(self) -> str:
        return "SecretBytes(<redacted>)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretBytes):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    def __reduce_ex__(self, protocol: object, /) -> NoReturn:
        raise TypeError("a SecretBytes cannot be copied or pickled")
