"""`keyvault-svc check-health`: whether processes of either service may get traffic."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from svc_runtime.health_check import HealthQuestion, ask_health
from svc_runtime.process import unless_told_to_stop

DEFAULT_WAIT_SECONDS: Final = 30.0
_DONE: Final = 0
_NOT_SERVING: Final = 1


def check_health(questions: Sequence[HealthQuestion], wait_seconds: float) -> int:
    """Ask *questions*, print a line for each, and return the exit code."""
    findings = asyncio.run(unless_told_to_stop(ask_health(questions, wait_seconds)))
    for finding in findings:
        sys.stdout.write(f"{finding.question}: {finding.status}\n")
    return _DONE if all(finding.is_serving for finding in findings) else _NOT_SERVING
