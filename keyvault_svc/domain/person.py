"""A verified person, and for whom they may act."""

from __future__ import annotations

from dataclasses import dataclass

from keyvault_svc.domain.errors import NotTheOwnerError
from keyvault_svc.domain.names import OwnerKind, OwnerName


@dataclass(frozen=True, slots=True)
class Person:
    """A verified person.

    Attributes:
        name: The name under which the person owns keys: `users/<name>`.
        groups: Teams that the person acts for: `teams/<group>`.
    """

    name: str
    groups: frozenset[str] = frozenset()

    def must_act_for(self, owner: OwnerName) -> None:
        """Refuse unless the person may act for *owner*.

        Raises:
            NotTheOwnerError: They may not. It is the same whether or not *owner* holds keys.
        """
        acting_as = {OwnerKind.USER: {self.name}, OwnerKind.TEAM: self.groups}[owner.kind]
        if owner.owner_id not in acting_as:
            raise NotTheOwnerError
