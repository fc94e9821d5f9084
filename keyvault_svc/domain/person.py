"""A verified person, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from keyvault_svc.domain.errors import NotTheOwnerError
from keyvault_svc.domain.names import OwnerKind, OwnerName
from keyvault_svc.domain.roles import MAY, SENSITIVE, Action, Role, RoleRules
from svc_runtime.caller import Authentication, Caller

_NONE: Final[frozenset[Role]] = frozenset()
_ANYBODY: Final = frozenset({Role.ANYBODY})
_EPOCH: Final = datetime.fromtimestamp(0, UTC)  # a person of no call: nothing is fresh


@dataclass(frozen=True, slots=True)
class Person:
    """A verified person.

    Attributes:
        name: The name under which the person owns keys: `users/<name>`.
        groups: Groups that the person's token vouches for, by their exact names.
        rules: What the groups make of a person.
        authentication: How and when the person proved the name.
        call_time: When the person's call came in; what is fresh is so at that time.
    """

    name: str
    groups: frozenset[str] = frozenset()
    rules: RoleRules = field(default_factory=RoleRules)
    authentication: Authentication = field(default_factory=Authentication)
    call_time: datetime = _EPOCH

    def roles_for(self, owner: OwnerName | None) -> frozenset[Role]:
        """Return every role of the person toward *owner*; None for what is about no owner."""
        return _ANYBODY | self._standing_roles() | (self._roles_by_name(owner) if owner else _NONE)

    def _standing_roles(self) -> frozenset[Role]:
        """Return the roles that the person has toward every owner."""
        groups = {
            Role.AUDITOR: self.rules.auditor_groups,
            Role.OPERATOR: self.rules.operator_groups,
        }
        return frozenset(role for role, makers in groups.items() if self.groups & makers)

    def _roles_by_name(self, owner: OwnerName) -> frozenset[Role]:
        if owner.kind is OwnerKind.USER:
            return frozenset({Role.OWNER}) if owner.owner_id == self.name else _NONE
        groups = {
            Role.TEAM_MEMBER: owner.owner_id,
            Role.TEAM_ADMIN: self.rules.admins_of(owner.owner_id),
        }
        return frozenset(role for role, maker in groups.items() if maker in self.groups)

    def may(self, action: Action, owner: OwnerName | None = None) -> bool:
        """Tell whether one of the person's roles toward *owner* allows *action*."""
        return not MAY.get(action, frozenset()).isdisjoint(self.roles_for(owner))

    def must(self, action: Action, owner: OwnerName | None = None) -> None:
        """Refuse unless the person may do *action* to what *owner* owns.

        Args:
            action: What the person is about to do.
            owner: Whose key, grant or usage it is; None for what is about no owner.

        Raises:
            NotTheOwnerError: They may not. It is the same whatever *owner* holds, if anything.
            StepUpRequiredError: They may, after a fresher or stronger login.
        """
        if not self.may(action, owner):
            raise NotTheOwnerError
        if action in SENSITIVE:
            self.must_be_fresh()

    def must_be_fresh(self) -> None:
        """Refuse unless the login is as fresh and strong as sensitive actions need it.

        Raises:
            StepUpRequiredError: It is not; carries what would be.
        """
        if self.rules.step_up is not None:
            self.rules.step_up.must_be_fresh(self.authentication, self.call_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonCaller(Caller):
    """A verified caller that is a person.

    Attributes:
        rules: What the person's groups make of them.
        call_time: When the call came in.
    """

    rules: RoleRules = field(default_factory=RoleRules)
    call_time: datetime = _EPOCH

    def person(self) -> Person:
        """Return the person."""
        return Person(
            self.name, frozenset(self.groups), self.rules, self.authentication, self.call_time
        )
