from __future__ import annotations

import os
from pathlib import Path

import pytest

from keyturn_cli.login_folder import other_hands, why_not_private

STRANGER = 54_321


def _of_another(folder: Path) -> Path:
    """Return a folder that is not this user's: *folder*, given away, or the system's."""
    if os.geteuid() != 0:
        return Path("/")
    os.chown(folder, STRANGER, STRANGER)
    return folder


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_a_folder_that_only_its_user_may_write_may_hold_a_login(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)

    assert why_not_private(tmp_path) == other_hands(tmp_path) == ""


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_may_write_may_not(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)

    assert why_not_private(tmp_path) == other_hands(tmp_path) == "can be written by others"


def test_a_folder_of_another_user_may_not(tmp_path: Path) -> None:
    folder = _of_another(tmp_path)

    assert why_not_private(folder) == other_hands(folder) == "belongs to another user"


def test_a_folder_that_is_read_only_may_not_though_nobody_else_writes_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    assert (why_not_private(tmp_path), other_hands(tmp_path)) == ("cannot be written", "")


def test_a_folder_that_is_not_there_may_not(tmp_path: Path) -> None:
    assert why_not_private(tmp_path / "none") == "is not there"
