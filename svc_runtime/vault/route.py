"""Which of Vault's nodes requests go to."""

from __future__ import annotations

import structlog

_log = structlog.get_logger()


class VaultRoute:
    """The addresses of Vault, of which one is in use: the last that answered.

    Any node serves: one that is not the leader forwards, if it is asked to (see `consistency`). So
    nothing is gained by leaving one that answers, and any failure is a reason to leave.
    """

    def __init__(self, addresses: tuple[str, ...]) -> None:
        """Begin with the first of *addresses*, each `https://host:port`."""
        self._addresses = tuple(address.rstrip("/") for address in addresses)
        self._position = 0

    @property
    def address(self) -> str:
        """The address in use."""
        return self._addresses[self._position]

    def leave(self, address: str) -> bool:
        """Use the next address, unless *address* is not in use any more.

        Returns:
            Whether there is another address than *address* to try.
        """
        if address == self.address and len(self._addresses) > 1:
            self._position = (self._position + 1) % len(self._addresses)
            _log.warning("vault_failover", count=self._position)
        return address != self.address
