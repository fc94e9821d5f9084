"""What of a local stack runs, as its pid files and its health ports tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from keyturn_cli.local.health_probe import GATEWAY, KEY_SERVICE, HealthProbe
from keyturn_cli.local.layout import Layout, read_ports
from keyturn_cli.local.pid_file import read_pid_file

_HEALTH_PORTS: Final = {"keyvault-health": KEY_SERVICE, "gateway-health": GATEWAY}


@dataclass(frozen=True, slots=True)
class StackStatus:
    """What was found.

    Attributes:
        processes: Process ids of what runs, by name.
        ports: The ports of the latest run, by name.
        is_up: Whether both services serve.
    """

    processes: Mapping[str, int]
    ports: Mapping[str, int]
    is_up: bool

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """Look at the stack of *layout*; changes nothing."""
        found = {path.stem: read_pid_file(path) for path in sorted(layout.run_dir.glob("*.pid"))}
        processes = {name: p.pid for name, p in found.items() if p is not None and p.is_running()}
        ports = read_ports(layout.ports_file)
        is_up = bool(processes) and all(
            name in ports and HealthProbe(ports[name], service)()
            for name, service in _HEALTH_PORTS.items()
        )
        return cls(processes, ports, is_up)

    def document(self) -> dict[str, object]:
        """Return the status for programs."""
        return {"up": self.is_up, "processes": dict(self.processes), "ports": dict(self.ports)}
