"""OpenBao as the contract meets it: a process, whose configuration names the audit device."""

from __future__ import annotations

from pathlib import Path

import hvac

from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.openbao_server import OpenBaoServer


class OpenBaoUnderContract:
    """`ContractServer` on the server of the local stack."""

    audit_file: str | None = None

    def __init__(self, folder: Path) -> None:
        """Start it, with all that it writes in *folder*."""
        port, cluster_port = free_ports(2)
        self._server = OpenBaoServer(
            folder / "home", folder / "run", port=port, cluster_port=cluster_port
        )
        self._server.start()
        self.address = self._server.address
        self.ca_file = self._server.ca_file

    def client(self) -> hvac.Client:
        """Return a new client that holds the root token."""
        return self._server.client()

    def audit_text(self) -> str:
        """Return its audit log."""
        return self._server.audit_log.read_text()

    def stop(self) -> None:
        """Stop it."""
        self._server.stop()
