"""`keyvault-svc bootstrap`: from settings to a Vault that is set up, with a line for each step."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from keyvault_svc.settings import BootstrapSettings, Settings
from keyvault_svc.vault.bootstrap.admin_client import admin_client
from keyvault_svc.vault.bootstrap.errors import BootstrapError
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.run import run_bootstrap
from keyvault_svc.vault.bootstrap.step import StepOutcome, StepResult
from svc_runtime.settings_models import SettingsError

_DONE: Final = 0
_FAILED: Final = 1
_NOT_AS_WANTED: Final = 3
_UNMET: Final = frozenset({StepOutcome.DRIFT, StepOutcome.MANUAL})


def bootstrap(settings: Settings, *, token_file: Path, is_dry_run: bool, is_json: bool) -> int:
    """Set Vault up as *settings* say, with the token in *token_file*; return the exit code.

    Raises:
        SettingsError: The settings have no `[bootstrap]`, or the token cannot be read.
    """
    options = _options(settings.bootstrap)
    client = admin_client(
        settings.vault.address, settings.vault.ca_file, settings.vault.namespace, _token(token_file)
    )
    report = _silent if is_json else _print_line
    try:
        results = run_bootstrap(client, options, dry_run=is_dry_run, report=report)
    except BootstrapError as error:
        sys.stderr.write(f"{error.step}: {error.problem}\n  {error.remedy}\n")
        return _FAILED
    if is_json:
        rows = [
            {"name": result.name, "outcome": result.outcome.value, "detail": result.detail}
            for result in results
        ]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    return _NOT_AS_WANTED if any(result.outcome in _UNMET for result in results) else _DONE


def _options(settings: BootstrapSettings | None) -> BootstrapOptions:
    if settings is None:
        raise SettingsError("bootstrap: the settings file needs a [bootstrap] section")
    try:
        return BootstrapOptions(**settings.model_dump())
    except ValueError as error:
        problem = str(error)
    raise SettingsError(f"bootstrap: {problem}")


def _print_line(result: StepResult) -> None:
    detail = f"  {result.detail}" if result.detail else ""
    sys.stdout.write(f"{result.outcome.value:8} {result.name}{detail}\n")
    sys.stdout.flush()


def _silent(_: StepResult) -> None:
    """Print nothing: JSON comes in one piece at the end."""


def _token(token_file: Path) -> str:
    try:
        token = token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token:
        raise SettingsError(f"--token-file: {token_file} holds no token that can be read")
    return token
