"""A test that lost its prefix never runs, and nobody notices."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source_tree import files, parse, relative

Function = ast.FunctionDef | ast.AsyncFunctionDef

TEST_MODULES = files("tests/**/test_*.py", "tests/test_*.py")
OTHER_MODULES = sorted(set(files("tests/*.py")) - set(TEST_MODULES))


def _functions(path: Path) -> Iterator[Function]:
    for node in parse(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _is_fixture(function: Function) -> bool:
    return any("fixture" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_every_function_of_a_test_module_is_a_test_a_fixture_or_private() -> None:
    lost = [
        f"{relative(path)}: {function.name}"
        for path in TEST_MODULES
        for function in _functions(path)
        if not function.name.startswith(("test_", "_")) and not _is_fixture(function)
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
