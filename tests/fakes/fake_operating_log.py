"""What security was told of operators."""

from __future__ import annotations

from keyvault_svc.domain.controls import Subject, Suspension
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import OwnerName


class FakeOperatingLog:
    """`OperatingLog` in a list.

    Attributes:
        told: What was told, each with the name of the event first.
    """

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def suspended(self, suspension: Suspension) -> None:
        """Remember it."""
        self.told.append(("suspended", suspension.subject, suspension.creator))

    def resumed(self, subject: Subject, person: str) -> None:
        """Remember it."""
        self.told.append(("resumed", subject, person))

    def owner_limits_set(self, owner: OwnerName, limits: Limits | None, person: str) -> None:
        """Remember it."""
        self.told.append(("owner_limits_set", owner, limits, person))
