"""The names of a stack's ports, and which process has which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STANDIN_PORT: Final = "openai-standin"
_VAULT: Final = ("vault", "vault-cluster")
_SERVICES: Final = {"keyvault": ("owner", "gateway"), "gateway": ("grpc", "http")}
_OF_EVERY_SERVICE: Final = ("health", "metrics")


def replica_suffixes(replicas: int) -> list[str]:
    """Return what tells replicas apart: nothing for the first, then `-2`, `-3`."""
    return ["", *(f"-{number}" for number in range(2, replicas + 1))]


def port_names(replicas: int, *, has_standin: bool) -> list[str]:
    """Return the names of all ports, such as `gateway-http` and `keyvault-2-owner`."""
    names = [*_VAULT, *([STANDIN_PORT] if has_standin else [])]
    for service, ports in _SERVICES.items():
        for suffix in replica_suffixes(replicas):
            names += [f"{service}{suffix}-{port}" for port in (*ports, *_OF_EVERY_SERVICE)]
    return names


def ports_of(ports: Mapping[str, int], process: str) -> dict[str, int]:
    """Return those of *ports* that are of *process*, such as `gateway-2`, by their short names."""
    prefix = f"{process}-"
    return {
        name.removeprefix(prefix): port
        for name, port in ports.items()
        if name.startswith(prefix) and "-" not in name.removeprefix(prefix)
    }
