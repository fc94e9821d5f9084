"""Measures requests to Vault: what was asked, how it ended, how long it took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from svc_runtime.telemetry.metrics_of_vault import VAULT_DURATION
from svc_runtime.vault.errors import (
    VaultAnswerError,
    VaultBadRequestError,
    VaultConflictError,
    VaultNotFoundError,
    VaultPermissionError,
)

_UNAVAILABLE: Final = "unavailable"
_OUTCOMES: Final[dict[type[VaultAnswerError], str]] = {
    VaultPermissionError: "denied",
    VaultConflictError: "conflict",
    VaultNotFoundError: "not_found",
    VaultBadRequestError: "invalid",
}


@contextmanager
def measured(operation: str, hanging_seconds: float) -> Iterator[None]:
    """Measure one request, from entering to leaving.

    Args:
        operation: What is asked; see `operation_of`.
        hanging_seconds: A caller that gave up after so long had no fault in it: Vault hung.
    """
    begin = time.monotonic()
    outcome = "ok"
    try:
        yield
    except VaultAnswerError as error:
        outcome = _OUTCOMES.get(type(error), _UNAVAILABLE)
        raise
    except asyncio.CancelledError:
        is_hanging = time.monotonic() - begin >= hanging_seconds
        outcome = _UNAVAILABLE if is_hanging else "cancelled"
        raise
    except Exception:
        outcome = _UNAVAILABLE
        raise
    finally:
        VAULT_DURATION.record(time.monotonic() - begin, operation, outcome)
