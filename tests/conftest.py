"""Fixtures that every test may use, and the order of the session."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.openbao_fixture import canary_key, openbao
from tests.process_hooks import process_hooks

__all__ = ["canary_key", "openbao", "process_hooks"]

_TESTS = Path(__file__).parent
_LAST = "test_canary.py"
_PARTS = ("alone", "unit", "first", "second", "servers")
_WITHOUT_CANARY = {"unit", "servers"}
_ALONE = {"cluster", "test_rolling_restart.py"}  # a busy machine would fail what they load or time
_UNIT_FOLDERS = {"architecture", "unit"}
_TIMED_FOLDERS = {"svc_runtime"}  # deadlines and pipes: what gives way to all others would fail
_CALLING_FOLDERS = {"component", "e2e", "fuzz", "skew"}  # most call a whole stack
_SECOND_FROM = "test_k"  # so that both halves of what calls take about as long
_CAPTURED = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def captured_output(pytestconfig: pytest.Config) -> list[str]:
    """What every test so far printed, logged, and told of its failure."""
    return pytestconfig.stash[_CAPTURED]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests run in parts; see tools/run_tests.sh."""
    parser.addoption("--part", choices=_PARTS, help="run one of the parts of the tests")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to collect what tests print."""
    config.stash[_CAPTURED] = []


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave modules of other parts alone: to import them all takes as long as some part does."""
    part = config.getoption("--part")
    if not part or not collection_path.name.startswith("test_"):
        return None
    if collection_path.name == _LAST:
        return part in _WITHOUT_CANARY or None
    return _part_of(collection_path) != part or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the search for the canary key come last: it judges what all other tests left."""
    items.sort(key=lambda item: item.path.name == _LAST)
    if config.getoption("--part") in _WITHOUT_CANARY:
        for item in items:
            if "canary_key" in getattr(item, "fixturenames", ()):
                raise pytest.UsageError(f"{item.nodeid}: its part does not search for the canary")


def _part_of(module: Path) -> str:
    names = set(module.relative_to(_TESTS).parts)
    if names & _ALONE:
        return "alone"
    if names & _UNIT_FOLDERS and not names & _TIMED_FOLDERS:
        return "unit"
    if names & _CALLING_FOLDERS:
        return "first" if module.name < _SECOND_FROM else "second"
    return "servers"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what the test printed and logged."""
    report = yield
    captured = item.config.stash[_CAPTURED]
    captured += [content for _, content in report.sections]
    captured.append(report.longreprtext)
    return report
