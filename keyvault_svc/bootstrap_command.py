"""`keyvault-svc bootstrap`: from settings to a Vault that is set up, with a line for each step."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from keyvault_svc.bootstrap_settings import (
    BootstrapSettings,
    CertificateLoginsSettings,
    JWTLoginsSettings,
    KubernetesLoginsSettings,
    LoginKind,
)
from keyvault_svc.settings import Settings
from keyvault_svc.vault.bootstrap.admin_client import AdminClient, admin_client, revoke_token
from keyvault_svc.vault.bootstrap.emit_cli import emit_cli
from keyvault_svc.vault.bootstrap.emit_terraform import emit_terraform
from keyvault_svc.vault.bootstrap.errors import BootstrapError
from keyvault_svc.vault.bootstrap.login_options import (
    AppRoleLogins,
    CertificateLogins,
    JWTLogins,
    KubernetesLogins,
    LoginOptions,
)
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.own_login import log_in
from keyvault_svc.vault.bootstrap.patience import patiently
from keyvault_svc.vault.bootstrap.recording import RecordedWrite, recorded_writes
from keyvault_svc.vault.bootstrap.run import run_bootstrap
from keyvault_svc.vault.bootstrap.step import StepOutcome, StepResult
from svc_runtime.clock import SystemClock
from svc_runtime.logging_setup import configure_logging
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.settings_models import SettingsError
from svc_runtime.vault.connect import connection_of, login_of

_DONE: Final = 0
_FAILED: Final = 1
_NOT_AS_WANTED: Final = 3
_FAILURE: Final = "failed"  # the outcome that is printed of the step that stopped the run


class EmitFormat(StrEnum):
    """As what the set-up is printed, for teams that configure Vault their own way."""

    CLI = "cli"
    TERRAFORM = "terraform"


@dataclass(frozen=True, slots=True)
class BootstrapCommand:
    """What the command line asks for.

    Attributes:
        token_file: Holds an administrator's token. `None`: log in as `[bootstrap_login]` says.
        emit: Print the set-up in this format, and ask no server anything.
        is_dry_run: Change nothing.
        is_json: Print the results for programs.
        wait_seconds: How long to try again while Vault is away.
        is_manual_accepted: Whether what must be done by hand is no failure of the run.
    """

    token_file: Path | None
    emit: EmitFormat | None = None
    is_dry_run: bool = False
    is_json: bool = False
    wait_seconds: float = 0.0
    is_manual_accepted: bool = False

    @property
    def unmet(self) -> frozenset[StepOutcome]:
        """The outcomes of which none may be left."""
        manual = frozenset[StepOutcome]() if self.is_manual_accepted else {StepOutcome.MANUAL}
        return frozenset({StepOutcome.DRIFT, *manual})


def bootstrap(settings: Settings, command: BootstrapCommand) -> int:
    """Set Vault up as *settings* say, or print how; return the exit code.

    Raises:
        SettingsError: The settings have no `[bootstrap]`, or neither they nor the command line say
            whose token to use, or it cannot be read.
    """
    options = bootstrap_options(settings.bootstrap)
    results: list[StepResult] = []

    def run() -> None:
        results.clear()
        report = results.append if command.is_json else _print_line
        with _client(settings, command.token_file) as client:
            found = run_bootstrap(client, options, dry_run=command.is_dry_run, report=report)
        results[:] = found

    try:
        if command.emit is not None:
            sys.stdout.write(_EMITTERS[command.emit](recorded_writes(options)))
            return _DONE
        patiently(run, command.wait_seconds, SystemClock(), time.sleep, _tell)
    except BootstrapError as error:
        _tell(f"{error.step}: {error.problem}\n  {error.remedy}")
        if command.is_json:
            _print_json(results, error)
        return _FAILED
    if command.is_json:
        _print_json(results)
    return _NOT_AS_WANTED if {result.outcome for result in results} & command.unmet else _DONE


@contextmanager
def _client(settings: Settings, token_file: Path | None) -> Iterator[AdminClient]:
    """Yield a client with the administrator's token, or with one of the bootstrap's own login.

    The latter is revoked in the end, whatever happened.
    """
    vault = settings.vault
    if token_file is not None:
        token = _token(token_file)
        yield admin_client(vault.address, vault.ca_file, vault.namespace, token)
        return
    if settings.bootstrap_login is None:
        raise SettingsError(
            "bootstrap_login: the settings need a [bootstrap_login] login, such as "
            "[bootstrap_login.kubernetes], or the command line --token-file"
        )
    configure_logging("keyvault-svc", sys.stderr)
    held = log_in(connection_of(vault), login_of(settings.bootstrap_login))
    client = admin_client(vault.address, vault.ca_file, vault.namespace, held.client_token)
    try:
        yield client
    finally:
        if held.is_ours and not revoke_token(client):
            _tell(f"login: Vault did not revoke the token; it lives for {held.ttl_seconds} s.")


def bootstrap_options(settings: BootstrapSettings | None) -> BootstrapOptions:
    """Return what *settings* ask for.

    Raises:
        SettingsError: They are missing, or do not fit together.
    """
    if settings is None:
        raise SettingsError("bootstrap: the settings file needs a [bootstrap] section")
    plain = settings.model_dump(exclude={"login", "kubernetes", "certificate", "jwt"})
    try:
        return BootstrapOptions(**plain, login=_login(settings))
    except ValueError as error:
        problem = str(error)
    raise SettingsError(f"bootstrap: {problem}")


def _login(settings: BootstrapSettings) -> LoginOptions:
    tables = {
        LoginKind.KUBERNETES: settings.kubernetes,
        LoginKind.CERTIFICATE: settings.certificate,
        LoginKind.JWT: settings.jwt,
    }
    given = {kind for kind, table in tables.items() if table is not None}
    if given != {settings.login} - {LoginKind.APPROLE}:
        raise ValueError(f"login = {settings.login} needs its own table, and no other login's")
    match tables.get(settings.login):
        case KubernetesLoginsSettings() as table:
            return KubernetesLogins(**dict(table))
        case CertificateLoginsSettings() as table:
            return CertificateLogins(**dict(table))
        case JWTLoginsSettings() as table:
            return JWTLogins(**dict(table))
        case None:
            return AppRoleLogins()


def _print_line(result: StepResult) -> None:
    detail = f"  {result.detail}" if result.detail else ""
    sys.stdout.write(f"{result.outcome.value:8} {result.name}{detail}\n")
    sys.stdout.flush()


def _print_json(results: Sequence[StepResult], error: BootstrapError | None = None) -> None:
    rows = [
        {"name": result.name, "outcome": result.outcome.value, "detail": result.detail}
        for result in results
    ]
    if error is not None:
        failure = {"name": error.step, "outcome": _FAILURE, "detail": error.problem}
        rows.append({**failure, "remedy": error.remedy})
    sys.stdout.write(json.dumps(rows, indent=2) + "\n")


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _token(token_file: Path) -> SecretBytes:
    try:
        token = token_file.read_bytes().strip()
    except OSError:
        token = b""
    if not token or not token.isascii():
        raise SettingsError(f"--token-file: {token_file} holds no token that can be read")
    return SecretBytes(token)


_EMITTERS: Final[dict[EmitFormat, Callable[[Sequence[RecordedWrite]], str]]] = {
    EmitFormat.CLI: emit_cli,
    EmitFormat.TERRAFORM: emit_terraform,
}
