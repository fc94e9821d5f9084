"""Where everything of a local stack lies: one folder, which is all there is to remove."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyturn_cli.local.errors import LocalStackError, PortTakenError
from keyturn_cli.local.free_ports import free_ports, is_port_free

TRUST_DOMAIN: Final = "keyturn.local"
OWNER: Final = "alice"
DEMO_APP: Final = f"spiffe://{TRUST_DOMAIN}/app/demo"
OTHER_APP: Final = f"spiffe://{TRUST_DOMAIN}/app/other"


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below the stack's folder."""

    home: Path

    @property
    def run_dir(self) -> Path:
        """Pid files of what runs."""
        return self.home / "run"

    @property
    def logs_dir(self) -> Path:
        """Output of what runs, one file each."""
        return self.home / "logs"

    @property
    def openbao_dir(self) -> Path:
        """OpenBao's data, keys, TLS files and audit log."""
        return self.home / "openbao"

    @property
    def certificates_dir(self) -> Path:
        """Certificates of services and apps, from Vault's PKI."""
        return self.home / "certificates"

    @property
    def ca_file(self) -> Path:
        """The CA of those certificates."""
        return self.certificates_dir / "ca.pem"

    @property
    def client_env(self) -> Path:
        """What a client needs, in shell syntax."""
        return self.home / "client.env"

    @property
    def password_file(self) -> Path:
        """The demo owner's password."""
        return self.home / f"{OWNER}.password"

    @property
    def seeded_file(self) -> Path:
        """Names of the keys that were seeded, so that a deleted one does not come back."""
        return self.home / "seeded.json"

    def service_settings(self, name: str) -> Path:
        """Return the settings file of the process *name*."""
        return self.home / f"{name.replace('-', '_')}.toml"

    def certificate(self, name: str) -> tuple[Path, Path]:
        """Return the certificate and key files of *name*."""
        return self.certificates_dir / f"{name}.pem", self.certificates_dir / f"{name}.key"


def choose_ports(file: Path, names: list[str], wanted: Mapping[str, int]) -> dict[str, int]:
    """Return a port for each of *names*.

    A port that *wanted* names is taken; otherwise the one of the run before, kept in *file*, if it
    is free; otherwise a free one. So addresses, token issuer among them, survive a restart.

    Raises:
        LocalStackError: *wanted* names something unknown.
        PortTakenError: A wanted port is taken.
    """
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise LocalStackError(f"no such port: {', '.join(unknown)}; there are {', '.join(names)}")
    for name, port in wanted.items():
        if not is_port_free(port):
            raise PortTakenError(name, port)
    before = _read(file)
    found = dict(zip(names, free_ports(len(names)), strict=True))
    kept = {name: before[name] for name in names if name in before and is_port_free(before[name])}
    ports = found | kept | dict(wanted)
    file.write_text(json.dumps(ports, indent=2) + "\n", encoding="utf-8")
    return ports


def _read(file: Path) -> dict[str, int]:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): int(port) for name, port in stored.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
