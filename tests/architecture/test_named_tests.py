"""A test that a document calls as witness exists."""

from __future__ import annotations

import ast
import re

from tests.architecture.source_tree import files, parse, relative

_NAME = re.compile(r"`(test_\w+)`")


def _tests() -> set[str]:
    return {
        node.name
        for path in files("tests/*.py")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_test_that_a_document_names_exists() -> None:
    tests = _tests()
    missing = [
        f"{relative(document)}: {name}"
        for document in files("docs/*.md", "README.md", "SECURITY.md")
        for name in _NAME.findall(document.read_text(encoding="utf-8"))
        if name not in tests
    ]

    assert missing == []
