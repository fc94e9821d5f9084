"""What a local stack needs of the Vault that it runs: one server, or a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import hvac  # for `client()` only: setting up with the root token


class VaultServer(Protocol):
    """A Vault or OpenBao that the stack starts and stops."""

    @property
    def address(self) -> str:
        """URL of its API."""

    @property
    def standby_addresses(self) -> Sequence[str]:
        """URLs of further nodes."""

    @property
    def ca_file(self) -> Path:
        """What a client must trust to call it."""

    @property
    def audit_log(self) -> Path:
        """One JSON object per line."""

    @property
    def root_token_file(self) -> Path:
        """The root token; there after the first start."""

    @property
    def pid(self) -> int | None:
        """A process id; None when it does not run."""

    def start(self) -> None:
        """Start it and wait until it serves."""

    def stop(self) -> None:
        """Stop it; harmless if it does not run."""

    def client(self) -> hvac.Client:
        """Return a new client that holds the root token."""
