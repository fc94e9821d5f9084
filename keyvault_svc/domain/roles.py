"""Who may do what: one table of actions and roles. What is not in it is denied to everybody.

A role is always one toward an owner: the same person is the owner of their own keys, a member of
one team and a stranger to another. Nobody's role is stored: it follows from the ID token and the
deployment's settings at each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from keyvault_svc.domain.step_up import StepUpPolicy

# What the access tables of the ports know callers as.
PERSON: Final = "person"  # anybody with an ID token; what they may do, the table below decides
GATEWAY: Final = "gateway"

TEAM_PLACE: Final = "{team}"
"""Where the team's id stands in the name of the group of its admins."""
DEFAULT_TEAM_ADMIN_GROUP: Final = f"{TEAM_PLACE}-admins"


class Role(StrEnum):
    """What a person is to an owner."""

    OWNER = "owner"
    """Owns the keys: `users/<their name>`."""
    TEAM_ADMIN = "team_admin"
    """In the group of the owning team's admins."""
    TEAM_MEMBER = "team_member"
    """In the group of the owning team."""
    AUDITOR = "auditor"
    """In a group that the deployment names as one of auditors: sees all, changes nothing."""
    OPERATOR = "operator"
    """In a group that the deployment names as one of operators: stops, limits and erases."""
    ANYBODY = "anybody"
    """Whoever brings an ID token."""


class Action(StrEnum):
    """What people do. Each RPC of the owner port is one of these."""

    READ_KEYS = "read_keys"
    ADD_KEY = "add_key"
    ROTATE_KEY = "rotate_key"
    UNDO_ROTATION = "undo_rotation"
    UPDATE_KEY = "update_key"
    VERIFY_KEY = "verify_key"
    DISABLE_KEY = "disable_key"
    ENABLE_KEY = "enable_key"
    DELETE_KEY = "delete_key"
    READ_GRANTS = "read_grants"
    CREATE_GRANT = "create_grant"
    UPDATE_GRANT = "update_grant"
    REVOKE_GRANT = "revoke_grant"
    READ_CONSENT_TEXT = "read_consent_text"
    ASK_FOR_GRANT = "ask_for_grant"
    READ_GRANT_REQUESTS = "read_grant_requests"
    DECIDE_GRANT_REQUEST = "decide_grant_request"
    READ_USAGE = "read_usage"
    EXPORT_OWNER = "export_owner"
    ERASE_OWNER = "erase_owner"
    READ_CONTROLS = "read_controls"
    SUSPEND = "suspend"
    RESUME = "resume"
    SET_OWNER_LIMITS = "set_owner_limits"


_DECIDERS: Final = frozenset({Role.OWNER, Role.TEAM_ADMIN})
_READERS: Final = _DECIDERS | {Role.TEAM_MEMBER, Role.AUDITOR}
_OPERATORS: Final = frozenset({Role.OPERATOR})
_ANYBODY: Final = frozenset({Role.ANYBODY})

MAY: Final[Mapping[Action, frozenset[Role]]] = MappingProxyType(
    {
        Action.READ_KEYS: _READERS | _OPERATORS,
        Action.ADD_KEY: _DECIDERS,
        Action.ROTATE_KEY: _DECIDERS,
        Action.UNDO_ROTATION: _DECIDERS,
        Action.UPDATE_KEY: _DECIDERS,
        Action.VERIFY_KEY: _DECIDERS,
        Action.DISABLE_KEY: _DECIDERS,
        Action.ENABLE_KEY: _DECIDERS,
        Action.DELETE_KEY: _DECIDERS,
        Action.READ_GRANTS: _READERS,
        Action.CREATE_GRANT: _DECIDERS,
        Action.UPDATE_GRANT: _DECIDERS,
        Action.REVOKE_GRANT: _DECIDERS,
        Action.READ_CONSENT_TEXT: _ANYBODY,
        Action.ASK_FOR_GRANT: _ANYBODY,
        Action.READ_GRANT_REQUESTS: _READERS,
        Action.DECIDE_GRANT_REQUEST: _DECIDERS,
        Action.READ_USAGE: _READERS | _OPERATORS,
        Action.EXPORT_OWNER: _DECIDERS | _OPERATORS,
        Action.ERASE_OWNER: _DECIDERS | _OPERATORS,
        Action.READ_CONTROLS: frozenset({Role.AUDITOR, Role.OPERATOR}),
        Action.SUSPEND: _OPERATORS,
        Action.RESUME: _OPERATORS,
        Action.SET_OWNER_LIMITS: _OPERATORS,
    }
)
"""Which roles toward the owner may do it; one of them is enough."""


SENSITIVE: Final = frozenset(
    {Action.ADD_KEY, Action.ROTATE_KEY, Action.DELETE_KEY, Action.ERASE_OWNER}
)
"""What needs a fresh login, where the deployment says so. So does to grant more than before, which
consent tells from the terms."""


@dataclass(frozen=True, slots=True)
class RoleRules:
    """Which groups make which roles, and what else is asked of people, as the deployment decides.

    Groups are compared exactly, case included. The name of a group of admins is made from an
    owner's checked name, and no owner's name is ever read out of a group's.

    Attributes:
        team_admin_group: The name of the group of a team's admins; holds `TEAM_PLACE` once.
        auditor_groups: Groups whose members are auditors.
        operator_groups: Groups whose members are operators.
        step_up: The login that sensitive actions need; None for any.
    """

    team_admin_group: str = DEFAULT_TEAM_ADMIN_GROUP
    auditor_groups: frozenset[str] = frozenset()
    operator_groups: frozenset[str] = frozenset()
    step_up: StepUpPolicy | None = None

    def admins_of(self, team_id: str) -> str:
        """Return the name of the group of the team's admins."""
        return self.team_admin_group.replace(TEAM_PLACE, team_id)
