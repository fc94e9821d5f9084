"""Fixtures that every test may use, and the order of the session."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.openbao_fixture import canary_key, openbao
from tests.process_hooks import process_hooks

__all__ = ["canary_key", "openbao", "process_hooks"]

_LAST = "test_canary.py"
_PARTS = ("cluster", "stack-a", "stack-b", "rest")
_STACK_FOLDERS = {"e2e", "fuzz"}
_STACK_B_FROM = "test_n"  # the modules of a stack from here on take about as long as those before
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the search for the canary key come last: it judges what all other tests left."""
    if part := config.getoption("--part"):
        others = [item for item in items if _part_of(item) not in {part, "each"}]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _part_of(item) in {part, "each"}]
    items.sort(key=lambda item: item.path.name == _LAST)


def _part_of(item: pytest.Item) -> str:
    if item.path.name == _LAST:
        return "each"
    folders = set(item.nodeid.split("/"))
    if "cluster" in folders:
        return "cluster"
    if not folders & _STACK_FOLDERS:
        return "rest"
    return "stack-a" if item.path.name < _STACK_B_FROM else "stack-b"


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
