from __future__ import annotations

from pathlib import Path

import pytest

from keyturn_cli.check_result import CheckState
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.settings_check import check_settings


def _settings(*names: str) -> ClientSettings:
    return ClientSettings(Path("client.env"), Path("state"), dict.fromkeys(names, "x"), {})


@pytest.mark.parametrize(
    "names",
    [("VAULT_ADDR",), ("KEYTURN_VAULT_AUDIT_LOG",), ("KEYTURN_HTTP", "KEYTURN_CA")],
    ids=["operator", "auditor", "app over HTTPS"],
)
def test_one_part_is_enough(names: tuple[str, ...]) -> None:
    found = check_settings(_settings(*names), compares_set_up=False)

    assert (found.state, found.detail) == (CheckState.OK, f"{names[0]}, by environment")


@pytest.mark.parametrize(
    ("compares_set_up", "state"), [(True, CheckState.OK), (False, CheckState.PROBLEM)]
)
def test_without_any_part_there_must_be_a_set_up_to_compare(
    compares_set_up: bool,  # noqa: FBT001 - a parameter of the table above
    state: CheckState,
) -> None:
    assert check_settings(_settings(), compares_set_up=compares_set_up).state is state
