"""`keyvault-svc bootstrap`: from settings to a Vault that is set up, with a line for each step."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
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
from keyvault_svc.vault.bootstrap.admin_client import admin_client
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
from keyvault_svc.vault.bootstrap.recording import RecordedWrite, recorded_writes
from keyvault_svc.vault.bootstrap.run import run_bootstrap
from keyvault_svc.vault.bootstrap.step import StepOutcome, StepResult
from svc_runtime.settings_models import SettingsError

_DONE: Final = 0
_FAILED: Final = 1
_NOT_AS_WANTED: Final = 3
_FAILURE: Final = "failed"  # the outcome that is printed of the step that stopped the run
_UNMET: Final = frozenset({StepOutcome.DRIFT, StepOutcome.MANUAL})


class EmitFormat(StrEnum):
    """As what the set-up is printed, for teams that configure Vault their own way."""

    CLI = "cli"
    TERRAFORM = "terraform"


@dataclass(frozen=True, slots=True)
class BootstrapCommand:
    """What the command line asks for.

    Attributes:
        token_file: Holds an administrator's token. Not needed for *emit*.
        emit: Print the set-up in this format, and ask no server anything.
        is_dry_run: Change nothing.
        is_json: Print the results for programs.
    """

    token_file: Path | None
    emit: EmitFormat | None = None
    is_dry_run: bool = False
    is_json: bool = False


def bootstrap(settings: Settings, command: BootstrapCommand) -> int:
    """Set Vault up as *settings* say, or print how; return the exit code.

    Raises:
        SettingsError: The settings have no `[bootstrap]`, or the token cannot be read.
    """
    options = _options(settings.bootstrap)
    results: list[StepResult] = []
    try:
        if command.emit is not None:
            sys.stdout.write(_EMITTERS[command.emit](recorded_writes(options)))
            return _DONE
        client = admin_client(
            settings.vault.address,
            settings.vault.ca_file,
            settings.vault.namespace,
            _token(command.token_file),
        )
        report = results.append if command.is_json else _print_line
        outcomes = {
            result.outcome
            for result in run_bootstrap(client, options, dry_run=command.is_dry_run, report=report)
        }
    except BootstrapError as error:
        sys.stderr.write(f"{error.step}: {error.problem}\n  {error.remedy}\n")
        if command.is_json:
            _print_json(results, error)
        return _FAILED
    if command.is_json:
        _print_json(results)
    return _NOT_AS_WANTED if outcomes & _UNMET else _DONE


def _options(settings: BootstrapSettings | None) -> BootstrapOptions:
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


def _token(token_file: Path | None) -> str:
    if token_file is None:
        raise SettingsError("--token-file: is needed, except with --emit")
    try:
        token = token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token:
        raise SettingsError(f"--token-file: {token_file} holds no token that can be read")
    return token


_EMITTERS: Final[dict[EmitFormat, Callable[[Sequence[RecordedWrite]], str]]] = {
    EmitFormat.CLI: emit_cli,
    EmitFormat.TERRAFORM: emit_terraform,
}
