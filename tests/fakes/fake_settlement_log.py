"""Remembers how leases ended."""

from __future__ import annotations

from keyvault_svc.domain.settlement import LeaseSettlement


class FakeSettlementLog:
    """`SettlementLog` in a list.

    Attributes:
        written: What was written down, the oldest first.
    """

    def __init__(self) -> None:
        self.written: list[LeaseSettlement] = []

    def write(self, settlement: LeaseSettlement) -> None:
        """Remember *settlement*."""
        self.written.append(settlement)
