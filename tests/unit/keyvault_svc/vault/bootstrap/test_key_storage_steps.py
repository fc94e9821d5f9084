from __future__ import annotations

from collections.abc import Callable

import pytest

from keyvault_svc.vault.bootstrap.convergence import RIGHT
from keyvault_svc.vault.bootstrap.errors import MountUpgradingError
from keyvault_svc.vault.bootstrap.key_storage_steps import retry_while_upgrading
from keyvault_svc.vault.bootstrap.step import Finding


def _upgrading_for(refusals: int) -> Callable[[], Finding]:
    left = iter(range(refusals))

    def action() -> Finding:
        if next(left, None) is None:
            return RIGHT
        raise MountUpgradingError("upgrading", "wait")

    return action


def test_a_mount_that_is_being_prepared_is_asked_again() -> None:
    pauses: list[float] = []

    finding = retry_while_upgrading(_upgrading_for(3), pauses.append)

    assert (finding, len(pauses)) == (RIGHT, 3)


def test_a_mount_that_is_never_ready_is_given_up_after_about_ten_seconds() -> None:
    pauses: list[float] = []

    with pytest.raises(MountUpgradingError):
        retry_while_upgrading(_upgrading_for(1000), pauses.append)

    assert sum(pauses) == pytest.approx(10, abs=0.2)
