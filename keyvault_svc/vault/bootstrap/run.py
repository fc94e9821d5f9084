"""The order of the steps, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import hvac

from keyvault_svc.vault.bootstrap.access_steps import access_steps
from keyvault_svc.vault.bootstrap.audit_steps import audit_steps
from keyvault_svc.vault.bootstrap.certificate_steps import certificate_steps
from keyvault_svc.vault.bootstrap.errors import (
    BootstrapError,
    BootstrapProblemError,
    VaultAwayError,
)
from keyvault_svc.vault.bootstrap.key_storage_steps import key_storage_steps
from keyvault_svc.vault.bootstrap.oidc_steps import oidc_steps
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.step import Step, StepOutcome, StepResult
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin

_WOULD_WRITE: Final = {StepOutcome.CREATED: "missing", StepOutcome.CHANGED: "different"}


def run_bootstrap(
    client: hvac.Client,
    options: BootstrapOptions,
    *,
    dry_run: bool,
    report: Callable[[StepResult], None],
) -> list[StepResult]:
    """Set up the server behind *client* for Keyturn. Idempotent.

    Args:
        client: Holds the administrator's token.
        options: What the deployment decides.
        dry_run: Write nothing; what would be written is reported as `DRIFT`.
        report: Called with each step's result as soon as it is known.

    Returns:
        The results of all steps, in order.

    Raises:
        BootstrapError: A step failed. What the earlier ones did stays; run it again.
    """
    vault = VaultAdmin(client, dry_run=dry_run)
    results = []
    for step in bootstrap_steps(options):
        result = _run_step(step, vault)
        report(result)
        results.append(result)
    return results


def bootstrap_steps(options: BootstrapOptions) -> list[Step]:
    """Return all steps, in order."""
    return [
        *audit_steps(options),
        *key_storage_steps(),
        *access_steps(options),
        *certificate_steps(options),
        *oidc_steps(options),
    ]


def _run_step(step: Step, vault: VaultAdmin) -> StepResult:
    try:
        finding = step.converge(vault)
    except BootstrapProblemError as problem:
        raise BootstrapError(
            step.name,
            problem.problem,
            problem.remedy,
            is_vault_away=isinstance(problem, VaultAwayError),
        ) from problem
    if vault.dry_run and finding.outcome in _WOULD_WRITE:
        detail = finding.detail or _WOULD_WRITE[finding.outcome]
        return StepResult(step.name, StepOutcome.DRIFT, detail)
    return StepResult(step.name, finding.outcome, finding.detail)
