"""Who may call which RPC: one table per listener, and no row means nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class MethodAccess:
    """What a caller needs for one RPC.

    Attributes:
        roles: A caller with at least one of these may call. Empty: nobody may.
        needs_deadline: Whether the call must carry a deadline. False only for RPCs that
            stay open for as long as the caller likes.
    """

    roles: frozenset[str]
    needs_deadline: bool = True


AccessPolicy: TypeAlias = Mapping[str, MethodAccess]
"""Access by full method name, such as `/pkg.Service/Method`."""

REFLECTION_SERVICES = (
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)


def with_reflection(policy: AccessPolicy) -> AccessPolicy:
    """Return *policy* plus server reflection for every role that it names."""
    roles = frozenset(role for access in policy.values() for role in access.roles)
    reflection = MethodAccess(roles, needs_deadline=False)
    return {
        **policy,
        **{f"/{name}/ServerReflectionInfo": reflection for name in REFLECTION_SERVICES},
    }
