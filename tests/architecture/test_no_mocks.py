"""A mock agrees with any mistake: tests use real parts or hand-written fakes."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.source_tree import files, parse, relative


def _imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_no_module_imports_a_mock() -> None:
    mocks = [
        f"{relative(path)}: {name}"
        for path in files("*.py")
        for name in _imported_names(path)
        if name.startswith(("unittest.mock", "mock"))
    ]

    assert mocks == []
