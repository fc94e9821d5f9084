"""The set-up of a Vault or OpenBao server for Keyturn, as a list of idempotent steps.

Each step reads what is there, compares, and writes only what differs, so a second run writes
nothing. Runs once, from the command line, with an administrator's token; no serving code imports
it. The `*_steps` modules each own one area of the server; `run` puts them in order.
"""

from __future__ import annotations

from keyvault_svc.vault.bootstrap.errors import BootstrapError
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.run import run_bootstrap
from keyvault_svc.vault.bootstrap.step import StepOutcome, StepResult

__all__ = ["BootstrapError", "BootstrapOptions", "StepOutcome", "StepResult", "run_bootstrap"]
