"""Who may do what: the policies, and the AppRoles of the two services."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from keyvault_svc.vault.bootstrap.convergence import RIGHT, fields_step, mount_step
from keyvault_svc.vault.bootstrap.errors import SetupConflictError
from keyvault_svc.vault.bootstrap.options import SERVICES, BootstrapOptions
from keyvault_svc.vault.bootstrap.step import Finding, Step, StepOutcome
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin

APPROLE_MOUNT: Final = "keyturn-approle"
MAINTENANCE: Final = "keyvault-maintenance"
"""The job that rewraps records; it has a login of its own, and no certificate."""
_LOGINS: Final = (*SERVICES, MAINTENANCE)
_POLICIES: Final = (*_LOGINS, "keyturn-owner", "keyturn-app")
_TOKEN_TTL_SECONDS: Final = 15 * 60  # a stolen token that is not renewed dies this soon
_TOKEN_MAX_TTL_SECONDS: Final = 24 * 60 * 60  # renewed or not, a service logs in anew each day


def access_steps(options: BootstrapOptions) -> list[Step]:
    """Return the steps that keep policies and service logins."""
    return [
        *(_policy_step(name, options.policy_dir) for name in _POLICIES),
        mount_step("sys/auth", APPROLE_MOUNT, "approle"),
        *(_approle_step(login) for login in _LOGINS),
    ]


def _policy_step(name: str, policy_dir: Path) -> Step:
    def converge(vault: VaultAdmin) -> Finding:
        wanted = _policy_text(policy_dir / f"{name}.hcl")
        current = vault.read(f"sys/policies/acl/{name}")
        if current is not None and current["policy"].strip() == wanted.strip():
            return RIGHT
        vault.write(f"sys/policies/acl/{name}", {"policy": wanted})
        return Finding(StepOutcome.CREATED if current is None else StepOutcome.CHANGED)

    return Step(f"policy {name}", converge)


def _policy_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupConflictError(
            f"The policy file {path} cannot be read.", "Check the folder of the policies."
        ) from error


def _approle_step(login: str) -> Step:
    return fields_step(
        f"AppRole {login}",
        f"auth/{APPROLE_MOUNT}/role/{login}",
        {
            "bind_secret_id": True,
            "token_policies": [login],
            # The default policy would add cubbyhole, wrapping and the identity of the token.
            "token_no_default_policy": True,
            "token_ttl": _TOKEN_TTL_SECONDS,
            "token_max_ttl": _TOKEN_MAX_TTL_SECONDS,
            "token_period": 0,  # a period would lift token_max_ttl
        },
    )
