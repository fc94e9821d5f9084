"""Security teams read of everything that a span may hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from svc_runtime.telemetry.spans import ERROR_TYPE
from tests.architecture.documented_tables import code_words, table_rows
from tests.architecture.source_tree import files, parse, relative

DOCUMENT = "docs/telemetry.md"
_PACKAGES = ("gateway_svc/*.py", "keyvault_svc/*.py", "svc_runtime/*.py")
_FACADE = "svc_runtime/telemetry/spans.py"


def _spans_set(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield the names that are given to `set` of something called a span."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "set"
            and ast.unparse(node.func.value).endswith("span")
        ):
            yield node.args[0]


def _names() -> set[str]:
    found = [
        (relative(path), name)
        for path in files(*_PACKAGES)
        if relative(path) != _FACADE
        for name in _spans_set(parse(path))
    ]
    unreadable = [place for place, name in found if not isinstance(name, ast.Constant)]
    assert unreadable == []
    return {str(name.value) for _, name in found if isinstance(name, ast.Constant)}


def test_every_attribute_of_a_span_is_documented() -> None:
    documented = [
        name
        for names, _ in table_rows(DOCUMENT, "What a span holds", "attribute")
        for name in code_words(names)
    ]

    assert sorted(documented) == sorted({*_names(), ERROR_TYPE})


def test_only_one_module_speaks_to_the_api_of_traces() -> None:
    importers = {
        relative(path)
        for path in files(*_PACKAGES)
        if "opentelemetry" in path.read_text(encoding="utf-8")
        and any(
            isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith("opentelemetry")
            and any(alias.name == "trace" for alias in node.names)
            for node in ast.walk(parse(path))
        )
    }

    assert importers == {_FACADE, "svc_runtime/telemetry/trace_context.py"}
