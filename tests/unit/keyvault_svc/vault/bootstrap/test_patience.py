from __future__ import annotations

import pytest

from keyvault_svc.vault.bootstrap.errors import BootstrapError
from keyvault_svc.vault.bootstrap.patience import patiently
from tests.fakes.fake_clock import FakeClock

AWAY = BootstrapError("login", "Vault is away.", "Wait.", is_vault_away=True)
REFUSED = BootstrapError("login", "Vault denies it.", "Ask.")


class _Runs:
    """Runs that end as they are told, and what is said and slept between them."""

    def __init__(self, *ends: BootstrapError | None) -> None:
        self.left = list(ends)
        self.told: list[str] = []
        self.pauses: list[float] = []
        self.clock = FakeClock()

    def go(self, wait_seconds: float) -> None:
        patiently(self._run, wait_seconds, self.clock, self._sleep, self.told.append)

    def _run(self) -> None:
        end = self.left.pop(0)
        if end is not None:
            raise end

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)


def test_a_vault_that_comes_in_time_is_waited_for_with_a_line_each_time() -> None:
    runs = _Runs(AWAY, AWAY, AWAY, None)

    runs.go(60)

    assert runs.pauses == [1, 2, 4]
    assert runs.told[0] == "waiting: Vault is away. Trying again, for 60 s at most."
    assert len(runs.told) == 3


def test_the_wait_ends_when_its_time_has_passed() -> None:
    runs = _Runs(*[AWAY] * 20)

    with pytest.raises(BootstrapError, match="is away"):
        runs.go(20)

    assert runs.pauses == [1, 2, 4, 8, 5]


def test_without_a_wait_the_first_failure_ends_the_run() -> None:
    runs = _Runs(AWAY)

    with pytest.raises(BootstrapError):
        runs.go(0)

    assert runs.told == []


def test_a_refusal_is_not_waited_for() -> None:
    runs = _Runs(AWAY, REFUSED)

    with pytest.raises(BootstrapError, match="denies"):
        runs.go(60)

    assert runs.pauses == [1]
