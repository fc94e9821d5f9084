"""Tests that need an older release beside this one; `make test-skew REV=...` brings it."""

from __future__ import annotations

from pathlib import Path

import pytest

_OPTION = "--older-python"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller say where the older release is."""
    parser.addoption(
        _OPTION, type=Path, help="Python interpreter that finds the services of an older release"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect these tests, and say so, where there is no older release."""
    if config.getoption(_OPTION, None) is None:
        here = Path(__file__).parent
        without = [item for item in items if here in item.path.parents]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]


@pytest.fixture(scope="session")
def older_python(pytestconfig: pytest.Config) -> Path:
    """The interpreter of the older release."""
    python: Path = pytestconfig.getoption(_OPTION)
    return python
