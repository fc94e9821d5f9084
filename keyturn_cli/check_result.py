"""What one check of `keyturn doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """How a check ended."""

    OK = "ok"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One finding.

    Attributes:
        name: What was checked; stable, programs may match on it.
        detail: What was found.
        mend: What to do; empty unless there is a problem.
    """

    name: str
    state: CheckState
    detail: str
    mend: str = ""

    def document(self) -> dict[str, str]:
        """Return the finding for programs."""
        return {
            "name": self.name,
            "state": self.state.value,
            "detail": self.detail,
            "mend": self.mend,
        }


def ok(name: str, detail: str) -> CheckResult:
    """Return the finding that all is well."""
    return CheckResult(name, CheckState.OK, detail)


def problem(name: str, detail: str, mend: str) -> CheckResult:
    """Return the finding that something must be mended."""
    return CheckResult(name, CheckState.PROBLEM, detail, mend)


def skipped(name: str, detail: str) -> CheckResult:
    """Return the finding that there was nothing to check."""
    return CheckResult(name, CheckState.SKIPPED, detail)
