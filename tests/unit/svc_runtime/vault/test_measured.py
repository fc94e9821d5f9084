from __future__ import annotations

import asyncio

import pytest

from svc_runtime.vault.errors import (
    VaultAnswerError,
    VaultBadRequestError,
    VaultConflictError,
    VaultNotFoundError,
    VaultPermissionError,
    VaultUnavailableError,
)
from svc_runtime.vault.measured import measured
from tests.fakes.figures import measured_figures

COUNT = "keyturn_vault_request_duration_seconds_count"


def test_an_answer_is_measured_as_ok() -> None:
    with measured_figures() as figures:
        with measured("kv.read", 1.0):
            pass

        assert figures.of(COUNT) == {(("operation", "kv.read"), ("outcome", "ok")): 1}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (VaultPermissionError, "denied"),
        (VaultConflictError, "conflict"),
        (VaultNotFoundError, "not_found"),
        (VaultBadRequestError, "invalid"),
        (VaultAnswerError, "unavailable"),
        (VaultUnavailableError, "unavailable"),
        (TypeError, "unavailable"),
    ],
)
def test_a_failure_is_measured_by_what_it_is(error: type[Exception], outcome: str) -> None:
    with measured_figures() as figures:
        with pytest.raises(error), measured("transit.decrypt", 1.0):
            raise error

        assert figures.of(COUNT) == {(("operation", "transit.decrypt"), ("outcome", outcome)): 1}


@pytest.mark.parametrize(("hanging_seconds", "outcome"), [(0.0, "unavailable"), (60, "cancelled")])
def test_only_a_caller_that_gave_up_late_tells_of_a_fault(
    hanging_seconds: float, outcome: str
) -> None:
    with measured_figures() as figures:
        with pytest.raises(asyncio.CancelledError), measured("kv.read", hanging_seconds):
            raise asyncio.CancelledError

        assert figures.of(COUNT) == {(("operation", "kv.read"), ("outcome", outcome)): 1}
