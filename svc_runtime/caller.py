"""Who is calling, once proven."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from svc_runtime.secret_bytes import SecretBytes


@dataclass(frozen=True, slots=True)
class Authentication:
    """How and when a person proved who they are, as their token's issuer says.

    Attributes:
        auth_time: When the person last proved it (`auth_time`); None when the issuer does not say.
        amr: By which methods (`amr`, RFC 8176), such as `pwd` and `otp`.
        acr: How strongly, by the issuer's own scale (`acr`); empty when it does not say.
    """

    auth_time: datetime | None = None
    amr: frozenset[str] = frozenset()
    acr: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller.

    Attributes:
        name: A SPIFFE id for a workload, the subject's name for a person.
        roles: What the service's access table knows this caller as.
        groups: Groups that the caller's token vouches for; empty for workloads.
        token: The token that proved the name, when there was one.
        source_ip: Address of the connection's other end, without port.
        authentication: How a person proved the name; says nothing for workloads.
    """

    name: str
    roles: frozenset[str]
    groups: Collection[str] = ()
    token: SecretBytes | None = None
    source_ip: str = ""
    authentication: Authentication = field(default_factory=Authentication)
