"""The processes of a stack beside Vault: both services, and the stand-in for OpenAI."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from keyturn_cli.local.child_process import ChildProcess
from keyturn_cli.local.health_probe import GATEWAY, KEY_SERVICE, HealthProbe
from keyturn_cli.local.layout import Layout
from keyturn_cli.local.stack_ports import STANDIN_PORT, ports_of, replica_suffixes


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """A process that has not started.

    Attributes:
        child: It.
        is_ready: Tells whether it serves.
    """

    child: ChildProcess
    is_ready: Callable[[], bool]


def standin_process(layout: Layout, ports: Mapping[str, int]) -> ServiceProcess:
    """Return the stand-in for OpenAI."""
    record = layout.logs_dir / "openai-standin.requests.jsonl"
    command = [sys.executable, "-m", "keyturn_cli.standin", "--port", str(ports[STANDIN_PORT])]
    child = _child(layout, "openai-standin", [*command, "--record", str(record)])
    # Its first line says that it listens. Trying the port would take it for an instant.
    return ServiceProcess(child, lambda: '"port"' in child.log_tail())


def service_processes(
    layout: Layout, ports: Mapping[str, int], replicas: int
) -> list[ServiceProcess]:
    """Return each replica of both services, in the order of their start."""
    found = []
    for suffix in replica_suffixes(replicas):
        for module, health_service in (("keyvault_svc", KEY_SERVICE), ("gateway_svc", GATEWAY)):
            name = f"{module.replace('_', '-')}{suffix}"
            settings = layout.service_settings(name)
            command = [sys.executable, "-m", module, "serve", "--config", str(settings)]
            port = ports_of(ports, f"{module.removesuffix('_svc')}{suffix}")["health"]
            child = _child(layout, name, command)
            found.append(ServiceProcess(child, HealthProbe(port, health_service)))
    return found


def _child(layout: Layout, name: str, command: Sequence[str | Path]) -> ChildProcess:
    return ChildProcess(
        name,
        command,
        run_dir=layout.run_dir,
        log_file=layout.logs_dir / f"{name}.log",
    )
