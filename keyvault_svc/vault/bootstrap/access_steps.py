"""Who may do what: the policies, and the roles of those who log in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from keyvault_svc.vault.bootstrap.convergence import RIGHT
from keyvault_svc.vault.bootstrap.local_files import text_of
from keyvault_svc.vault.bootstrap.login_options import LOGINS
from keyvault_svc.vault.bootstrap.login_steps import login_steps
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.step import Finding, Step, StepOutcome
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin

_POLICIES: Final = (*LOGINS, "keyturn-owner", "keyturn-owner-mfa", "keyturn-app")


def access_steps(options: BootstrapOptions) -> list[Step]:
    """Return the steps that keep policies and logins."""
    return [
        *(_policy_step(name, options.policy_dir) for name in _POLICIES),
        *login_steps(options),
    ]


def _policy_step(name: str, policy_dir: Path) -> Step:
    def converge(vault: VaultAdmin) -> Finding:
        wanted = text_of(policy_dir / f"{name}.hcl")
        current = vault.read(f"sys/policies/acl/{name}")
        if current is not None and current["policy"].strip() == wanted.strip():
            return RIGHT
        vault.write(f"sys/policies/acl/{name}", {"policy": wanted})
        if current is None:
            return Finding(StepOutcome.CREATED)
        return Finding(StepOutcome.CHANGED, f"differs from {policy_dir / name}.hcl")

    return Step(f"policy {name}", converge)
