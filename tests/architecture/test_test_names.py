"""A test that lost its prefix never runs, and nobody notices."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.architecture.source_tree import files, parse, relative

TEST_MODULES = files("tests/**/test_*.py", "tests/test_*.py")
OTHER_MODULES = sorted(set(files("tests/*.py")) - set(TEST_MODULES))


class Function(NamedTuple):
    """A function at the top of a module."""

    name: str
    is_fixture: bool


@cache
def _functions(path: Path) -> list[Function]:
    return [
        Function(node.name, any("fixture" in ast.unparse(found) for found in node.decorator_list))
        for node in parse(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_every_function_of_a_test_module_is_a_test_a_fixture_or_private() -> None:
    lost = [
        f"{relative(path)}: {function.name}"
        for path in TEST_MODULES
        for function in _functions(path)
        if not function.name.startswith(("test_", "_")) and not function.is_fixture
    ]

    assert lost == []


def test_no_test_hides_behind_another_of_the_same_name() -> None:
    counts = Counter((relative(path), f.name) for path in TEST_MODULES for f in _functions(path))

    assert [name for name, count in counts.items() if count > 1] == []


def test_every_test_module_holds_a_test() -> None:
    empty = [
        relative(path)
        for path in TEST_MODULES
        if not any(function.name.startswith("test_") for function in _functions(path))
    ]

    assert empty == []


def test_no_test_hides_in_a_module_that_is_not_collected() -> None:
    hidden = [
        f"{relative(path)}: {function.name}"
        for path in OTHER_MODULES
        for function in _functions(path)
        if function.name.startswith("test_")
    ]

    assert hidden == []
