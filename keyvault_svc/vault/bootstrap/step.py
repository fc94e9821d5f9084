"""One step of the set-up, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin


class StepOutcome(Enum):
    """What a step found or did."""

    OK = "ok"
    CREATED = "created"
    CHANGED = "changed"
    DRIFT = "drift"
    """A dry run found something that a real run would create or change."""
    MANUAL = "manual"
    """Something is missing that no request can set up; the detail says how to mend it."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of one step.

    Attributes:
        name: What the step looks after, such as `mount keyturn-kv/`.
        outcome: Whether it was right, made right, or is left wrong.
        detail: For people: what was missing or different, or what to do. May be empty.
    """

    name: str
    outcome: StepOutcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A step's own account: its outcome as if every write were sent, and the detail."""

    outcome: StepOutcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to look after.

    Attributes:
        name: As in `StepResult`.
        converge: Reads the state, writes what differs, and says which it was. Need not know about
            dry runs: their `VaultAdmin` sends no write.
    """

    name: str
    converge: Callable[[VaultAdmin], Finding]
