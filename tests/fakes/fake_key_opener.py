"""An opener that yields a prepared key, or the failure that a test wants."""

from __future__ import annotations

from gateway_svc.domain.lease_ports import KeyPurpose, Lease
from svc_runtime.secret_bytes import SecretBytes


class FakeKeyOpener:
    """`KeyOpener` without Vault.

    Attributes:
        opened: The purpose and the lease of every opening.
        timeouts: How many seconds each opening was given.
    """

    def __init__(self, answer: SecretBytes | BaseException) -> None:
        """Return or raise *answer* at every opening."""
        self._answer = answer
        self.opened: list[tuple[KeyPurpose, Lease]] = []
        self.timeouts: list[float] = []

    async def open(self, purpose: KeyPurpose, lease: Lease, timeout_seconds: float) -> SecretBytes:
        """Return the key, or raise the failure."""
        self.opened.append((purpose, lease))
        self.timeouts.append(timeout_seconds)
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer
