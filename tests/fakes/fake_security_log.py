"""What security was told."""

from __future__ import annotations

from collections.abc import Sequence

from keyvault_svc.domain.names import KeyName


class FakeSecurityLog:
    """`SecurityLog` in a list.

    Attributes:
        shared: Each key that holds the plaintext of others, and those.
    """

    def __init__(self) -> None:
        self.shared: list[tuple[KeyName, tuple[KeyName, ...]]] = []

    def key_shared(self, name: KeyName, others: Sequence[KeyName]) -> None:
        """Remember it."""
        self.shared.append((name, tuple(others)))
