"""Where everything of a local stack lies: one folder, which is all there is to remove."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.local.errors import PortTakenError
from keyturn_cli.local.free_ports import free_ports, is_port_free

TRUST_DOMAIN: Final = "keyturn.local"
OWNER: Final = "alice"
OPERATOR: Final = "operator"
AUDITOR: Final = "auditor"
GROUPS: Final = {OPERATOR: "keyturn-operators", AUDITOR: "keyturn-auditors"}
"""The group that makes the person what they are called."""
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
    def ports_file(self) -> Path:
        """The ports of the latest run, for the next one."""
        return self.home / "ports.json"

    @property
    def client_env(self) -> Path:
        """What a client needs, in shell syntax."""
        return self.home / "client.env"

    @property
    def password_file(self) -> Path:
        """The demo owner's password."""
        return self.password_file_of(OWNER)

    def password_file_of(self, person: str) -> Path:
        """Return the file with the password of *person*."""
        return self.home / f"{person}.password"

    @property
    def second_factor_file(self) -> Path:
        """What the demo owner's authenticator app takes, an `otpauth://` URI."""
        return self.home / f"{OWNER}.otpauth"

    @property
    def seeded_file(self) -> Path:
        """Names of the keys that were seeded, so that a deleted one does not come back."""
        return self.home / "seeded.json"

    @property
    def signing_keys_file(self) -> Path:
        """Public keys that check the services' audit streams."""
        return self.home / "signing-keys.json"

    @property
    def windows_file(self) -> Path:
        """When the stack's administrator worked in Vault, a line each, as FROM/TO."""
        return self.home / "windows"

    @property
    def limits_file(self) -> Path:
        """Where limits and usage are counted."""
        return self.home / "limits.sqlite3"

    def service_settings(self, name: str) -> Path:
        """Return the settings file of the process *name*."""
        return self.home / f"{name.replace('-', '_')}.toml"

    def certificate(self, name: str) -> tuple[Path, Path]:
        """Return the certificate and key files of *name*."""
        return self.certificates_dir / f"{name}.pem", self.certificates_dir / f"{name}.key"


def choose_ports(file: Path, names: Sequence[str], wanted: Mapping[str, int]) -> dict[str, int]:
    """Return a port for each of *names*, all different.

    A port that *wanted* names is taken; otherwise the one of the run before, kept in *file*, if it
    is free; otherwise a free one. So addresses, token issuer among them, survive a restart.

    Raises:
        CommandError: *wanted* names something unknown, or one port twice.
        PortTakenError: A wanted port is taken.
    """
    _check_wanted(wanted, names)
    before = read_ports(file)
    ports = dict(wanted)
    for name in names:
        port = before.get(name)
        if name not in ports and port and port not in ports.values() and is_port_free(port):
            ports[name] = port
    missing = [name for name in names if name not in ports]
    # A port that was chosen above is free as well, so it may be found once more.
    found = [port for port in free_ports(len(names)) if port not in ports.values()]
    ports |= dict(zip(missing, found, strict=False))
    # What this run does not use, such as the stand-in's port, is kept for the next.
    file.write_text(json.dumps(before | ports, indent=2) + "\n", encoding="utf-8")
    return ports


def _check_wanted(wanted: Mapping[str, int], names: Sequence[str]) -> None:
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise CommandError(
            f"--port: there is no port {', '.join(unknown)}",
            ExitCode.USAGE,
            hint=f"The ports are {', '.join(sorted(names))}.",
        )
    if len(set(wanted.values())) < len(wanted):
        raise CommandError("--port: two names ask for the same port", ExitCode.USAGE)
    for name, port in wanted.items():
        if not is_port_free(port):
            raise PortTakenError(name, port)


def read_ports(file: Path) -> dict[str, int]:
    """Return the ports that `choose_ports` kept in *file*; none if it is missing or damaged."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): int(port) for name, port in stored.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
