"""Who may call what on the port for Envoys; what is not here is denied to everybody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from svc_runtime.access_policy import AccessPolicy, MethodAccess
from svc_runtime.spiffe_id import SpiffeId

ENVOY: Final = "envoy"

ENVOY_PORT: Final[AccessPolicy] = {
    "/envoy.service.auth.v3.Authorization/Check": MethodAccess(frozenset({ENVOY})),
}


class EnvoyIds:
    """Which SPIFFE ids are Envoys that may be handed keys."""

    def __init__(self, envoys: Iterable[SpiffeId]) -> None:
        """Know these, and no others: there is no prefix that makes an Envoy."""
        self._envoys = frozenset(envoys)

    def roles_of(self, spiffe_id: SpiffeId) -> frozenset[str]:
        """Return the roles of *spiffe_id*; none when it is no such Envoy."""
        return frozenset({ENVOY}) if spiffe_id in self._envoys else frozenset()
