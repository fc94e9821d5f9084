"""What the contract asks of a server, whichever product it is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import hvac


class ContractServer(Protocol):
    """A running, unsealed server that nobody else uses."""

    @property
    def address(self) -> str:
        """URL of its API."""

    @property
    def ca_file(self) -> Path:
        """What a client must trust to call it."""

    @property
    def audit_file(self) -> str | None:
        """Where bootstrap is to have it write its audit log; None if its configuration says so."""

    def client(self) -> hvac.Client:
        """Return a new client that holds the root token."""

    def audit_text(self) -> str:
        """Return its audit log, one JSON object per line."""

    def stop(self) -> None:
        """Stop it."""
