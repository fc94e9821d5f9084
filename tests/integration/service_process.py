"""A service's own process, with a Vault that is not there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from keyturn_cli.local.free_ports import free_ports
from svc_runtime.tls_files import TLSFiles

_ENDING_SECONDS: Final = 20
_KEY_SERVICE: Final = """
owner_address = "{host}:{ports[0]}"
gateway_address = "{host}:{ports[1]}"
health_address = "{host}:{ports[2]}"
gateways = ["spiffe://keyturn.test/gateway-svc"]
certificate_wait_seconds = {wait}

[people]
issuer = "https://issuer.test"
audience = "keyturn"
name_claim = "sub"
jwks_url = "https://issuer.test/keys"

[limits]
file = "{folder}/limits.db"
"""
_GATEWAY: Final = """
grpc_address = "{host}:{ports[0]}"
http_address = "{host}:{ports[1]}"
health_address = "{host}:{ports[2]}"
app_id_prefix = "spiffe://keyturn.test/app/"
certificate_wait_seconds = {wait}

[key_service]
target = "ipv4:127.0.0.1:1"
"""
_BOTH: Final = """
[telemetry]
metrics_address = "{host}:{ports[3]}"

[tls]
certificate = "{folder}/tls.pem"
key = "{folder}/tls.key"
ca = "{folder}/ca.pem"

[vault]
address = "https://127.0.0.1:1"
request_timeout_seconds = 0.2

[vault.kubernetes]
role = "{service}"
token_file = "{folder}/service-account-token"
"""
_OWN: Final = {"keyvault_svc": _KEY_SERVICE, "gateway_svc": _GATEWAY}
SERVICES: Final = tuple(_OWN)
READY: Final = {
    "keyvault_svc": "keyturn.keyvault.v1.KeyService",
    "gateway_svc": "keyturn.gateway.v1.ChatCompletionService",
}
"""By service the name under which a probe asks whether it may get traffic."""


class ServiceProcess:
    """A running `serve`, and what it logs."""

    def __init__(self, process: subprocess.Popen[str], health_port: int) -> None:
        self.process = process
        self.health_port = health_port

    def until_logged(self, event: str) -> Mapping[str, Any]:
        """Return the next line of *event*; the test's own time-out ends a wait in vain."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            logged: dict[str, Any] = json.loads(line)
            if logged["event"] == event:
                return logged
        raise AssertionError(f"the process ended before {event}")

    def stopped(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=_ENDING_SECONDS)
        return self.process.returncode


def settings_file(
    folder: Path, service: str, *, host: str = "127.0.0.1", wait: float = 0.0
) -> tuple[Path, int]:
    """Write the settings of *service* into *folder*; return the file and the port of health."""
    ports = free_ports(4)
    (folder / "service-account-token").write_text("a.b.c", encoding="ascii")
    file = folder / "settings.toml"
    text = _OWN[service] + _BOTH
    file.write_text(
        text.format(host=host, ports=ports, folder=folder, service=service, wait=wait),
        encoding="utf-8",
    )
    return file, ports[2]


def tls_files(folder: Path) -> TLSFiles:
    """Return where the settings say that the certificate is."""
    return TLSFiles(folder / "tls.pem", folder / "tls.key", folder / "ca.pem")


def command(service: str, *arguments: str) -> list[str]:
    """Return the command line of *service*."""
    return [sys.executable, "-m", service, *arguments]


@contextmanager
def serving(service: str, config: Path, health_port: int) -> Iterator[ServiceProcess]:
    """Run `serve` with *config*, and kill it if it still runs in the end."""
    process = subprocess.Popen(
        command(service, "serve", "--config", str(config)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield ServiceProcess(process, health_port)
        finally:
            process.kill()
