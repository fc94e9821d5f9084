"""What a bootstrap would write to a server that holds nothing yet: the desired state as a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keyvault_svc.vault.bootstrap.errors import BootstrapError, BootstrapProblemError
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.run import bootstrap_steps
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin

# The product that enables audit devices by request: so the write is recorded.
_MOUNTS: Final = {"cubbyhole/": {"running_plugin_version": "v1.0.0+builtin.vault"}}


@dataclass(frozen=True, slots=True)
class RecordedWrite:
    """One write.

    Attributes:
        step: Name of the step that writes.
        path: Path, without `/v1/`.
        data: What is written.
    """

    step: str
    path: str
    data: Mapping[str, object]


class RecordingAdmin(VaultAdmin):
    """Answers that nothing is there, and keeps what is written instead of sending it."""

    def __init__(self) -> None:
        """Begin with no writes."""
        self.dry_run = False
        self.written: list[tuple[str, dict[str, object]]] = []

    def read(self, path: str) -> dict[str, Any] | None:
        """Return that nothing is there, and of which product."""
        return dict(_MOUNTS) if path == "sys/mounts" else None

    def list_keys(self, path: str) -> list[str]:
        """Return that nothing is there."""
        del path
        return []

    def write(self, path: str, data: Mapping[str, object]) -> None:
        """Keep the write."""
        self.written.append((path, dict(data)))


def recorded_writes(options: BootstrapOptions) -> list[RecordedWrite]:
    """Return what `run_bootstrap` with *options* writes to an empty server, in order.

    Raises:
        BootstrapError: A file that says what to write cannot be read.
    """
    writes = []
    for step in bootstrap_steps(options):
        admin = RecordingAdmin()
        try:
            step.converge(admin)
        except BootstrapProblemError as problem:
            raise BootstrapError(step.name, problem.problem, problem.remedy) from problem
        writes += [RecordedWrite(step.name, path, data) for path, data in admin.written]
    return writes
