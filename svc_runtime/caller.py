"""Who is calling, once proven."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from svc_runtime.secret_bytes import SecretBytes


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller.

    Attributes:
        name: A SPIFFE id for a workload, the subject's name for a person.
        roles: What the service's access table knows this caller as.
        groups: Groups that the caller's token vouches for; empty for workloads.
        token: The token that proved the name, when there was one.
        source_ip: Address of the connection's other end, without port.
    """

    name: str
    roles: frozenset[str]
    groups: Collection[str] = ()
    token: SecretBytes | None = None
    source_ip: str = ""
