"""What stops a bootstrap, told to the administrator without any response body.

BootstrapProblemError          raised inside a step
├── VaultRequestError          Vault did not do what was asked
│   ├── MountUpgradingError    not yet: the mount is still being prepared
│   └── VaultAwayError         it cannot be reached, is sealed, or has no leader
└── SetupConflictError         what is there must not be changed by a program
BootstrapError                 what the caller sees: one of the above and the step's name
"""

from __future__ import annotations


class BootstrapProblemError(Exception):
    """A reason to stop.

    Attributes:
        problem: What is wrong, one sentence.
        remedy: What the administrator can do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        """Hold two texts made by this package; neither may quote what Vault answered."""
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class VaultRequestError(BootstrapProblemError):
    """Vault refused a request or could not be asked."""


class MountUpgradingError(VaultRequestError):
    """The mount is still being prepared; the same request works shortly after."""


class VaultAwayError(VaultRequestError):
    """Vault cannot be reached, is sealed, or has no leader; a later run may find it there."""


class SetupConflictError(BootstrapProblemError):
    """Vault holds something under our name that a program must not change or replace."""


class BootstrapError(Exception):
    """A bootstrap stopped at one step; the steps before it are done.

    Running it again after the remedy continues where it stopped.

    Attributes:
        step: Name of the step that failed.
        problem: What is wrong, one sentence.
        remedy: What the administrator can do about it.
        is_vault_away: Whether the same run may succeed later, with nothing changed but Vault.
    """

    def __init__(
        self, step: str, problem: str, remedy: str, *, is_vault_away: bool = False
    ) -> None:
        super().__init__(f"{step}: {problem} {remedy}")
        self.step = step
        self.problem = problem
        self.remedy = remedy
        self.is_vault_away = is_vault_away
