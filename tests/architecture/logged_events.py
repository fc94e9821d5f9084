"""What the sources log, read from their syntax trees: event, level and fields of every log call.

The reader knows the few forms that log calls have in this code, and refuses every other one. So a
call that it cannot read is an error of its own, not a call that nobody looks at.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LOGGER = "_log"
_LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
_FAULT = frozenset({"exception", "where"})
_FunctionDef = ast.FunctionDef | ast.AsyncFunctionDef


class UnreadableLogCallError(Exception):
    """A log call has a form that is not known here."""


@dataclass(frozen=True)
class Logged:
    """One log call.

    Attributes:
        place: `file:line`.
        event: Name of the event.
        level: Name of the level.
        fields: Fields that the line can have because of this call.
        has_annotations: Whether also those of `annotate`.
    """

    place: str
    event: str
    level: str
    fields: frozenset[str]
    has_annotations: bool = False


def logged(trees: dict[str, ast.Module]) -> list[Logged]:
    """Return every log call of *trees*, which are syntax trees by file name.

    Raises:
        UnreadableLogCallError: One has a form that is not known here.
    """
    known = _Known.of(trees.values())
    return [found for file, tree in trees.items() for found in _Reader(file, known).calls_in(tree)]


def annotated(trees: dict[str, ast.Module]) -> frozenset[str]:
    """Return every field that *trees* annotate calls with.

    Raises:
        UnreadableLogCallError: A call of `annotate` has a form that is not known here.
    """
    known = _Known.of(trees.values())
    names: set[str] = set()
    for file, tree in trees.items():
        reader = _Reader(file, known)
        for scope, node in _scoped(tree):
            if isinstance(node, ast.Call) and _is_name(node.func, "annotate"):
                names |= reader.fields(node, scope).names
            elif isinstance(node, ast.Assign) and (item := _annotations_item(node.targets[0])):
                names.add(reader.key(item.slice))
    return frozenset(names)


@dataclass(frozen=True)
class _Fields:
    names: frozenset[str] = frozenset()
    has_annotations: bool = False

    def __or__(self, other: _Fields) -> _Fields:
        return _Fields(self.names | other.names, self.has_annotations or other.has_annotations)


@dataclass(frozen=True)
class _Known:
    """What a log call in one file may refer to in another.

    Attributes:
        functions: The functions that return mappings, by name.
        constants: The texts that modules give to a name, by that name.
    """

    functions: dict[str, list[_FunctionDef]]
    constants: dict[str, set[str]]

    @classmethod
    def of(cls, trees: Iterable[ast.Module]) -> _Known:
        known = cls({}, {})
        for tree in trees:
            for node in ast.walk(tree):
                if isinstance(node, _FunctionDef) and _returns_mapping(node):
                    known.functions.setdefault(node.name, []).append(node)
            for statement in tree.body:
                match statement:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text)))
                        | ast.Assign(
                            targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))
                        )
                    ):
                        known.constants.setdefault(name, set()).add(text)
                    case _:
                        pass
        return known


class _Reader:
    """Reads one file."""

    def __init__(self, file: str, known: _Known) -> None:
        self._file = file
        self._known = known

    def calls_in(self, tree: ast.Module) -> Iterator[Logged]:
        calls = 0
        for scope, node in _scoped(tree):
            if isinstance(node, ast.Call) and _is_log_method(node.func):
                calls += 1
                yield self._logged(node, scope)
        uses = sum(
            isinstance(node, ast.Name) and node.id == LOGGER and isinstance(node.ctx, ast.Load)
            for node in ast.walk(tree)
        )
        if uses != calls:
            raise UnreadableLogCallError(f"{self._file}: {LOGGER} is for calls of its methods only")

    def _logged(self, call: ast.Call, scope: ast.AST) -> Logged:
        assert isinstance(call.func, ast.Attribute)
        level = call.func.attr
        place = f"{self._file}:{call.lineno}"
        if level not in _LEVELS or len(call.args) != 1:
            raise UnreadableLogCallError(f"{place}: not a level with one event")
        event = self._event(call.args[0])
        if event is None:
            raise UnreadableLogCallError(f"{place}: the event is neither a literal nor a constant")
        fields = self.fields(call, scope)
        if level == "exception":
            level, fields = "error", fields | _Fields(_FAULT)
        return Logged(place, event, level, fields.names, fields.has_annotations)

    def _event(self, node: ast.expr) -> str | None:
        match node:
            case ast.Constant(value=str(event)):
                return event
            case ast.Name(id=name):
                events = self._known.constants.get(name, set())
                return next(iter(events)) if len(events) == 1 else None
            case _:
                return None

    def fields(self, call: ast.Call, scope: ast.AST) -> _Fields:
        found = _Fields()
        for keyword in call.keywords:
            if keyword.arg is None:
                found |= self._of_mapping(keyword.value, scope)
            elif keyword.arg == "exc_info":
                found |= _Fields(_FAULT)
            else:
                found |= _Fields(frozenset({keyword.arg}))
        return found

    def key(self, node: ast.expr | None) -> str:
        """Return the field that a mapping's key names: a literal, or a member of `LogField`."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.Attribute) and _is_name(node.value, "LogField"):
            return node.attr.lower()
        raise self._unreadable(node)

    def _of_mapping(self, node: ast.expr, scope: ast.AST) -> _Fields:
        """Return the keys of the mapping that *node* is."""
        match node:
            case ast.Dict(keys=keys, values=values):
                found = _Fields()
                for key, value in zip(keys, values, strict=True):
                    own = _Fields(frozenset({self.key(key)})) if key is not None else None
                    found |= own or self._of_mapping(value, scope)
                return found
            case ast.DictComp(
                generators=[
                    ast.comprehension(iter=ast.Call(func=ast.Attribute(value=source, attr="items")))
                ]
            ):
                return self._of_mapping(source, scope)
            case ast.Attribute(attr="fields", value=owner) if _is_call_context(owner):
                return _Fields(has_annotations=True)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="dict"), attr="fromkeys")):
                return self._of_keys(node)
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                return self._returned(name, node)
            case ast.Name(id=name):
                return self._bound(name, scope, node)
            case _:
                raise self._unreadable(node)

    def _of_keys(self, call: ast.Call) -> _Fields:
        keys = call.args[0]
        if not isinstance(keys, ast.Tuple):
            raise self._unreadable(keys)
        return _Fields(frozenset(self.key(key) for key in keys.elts))

    def _returned(self, name: str, call: ast.Call) -> _Fields:
        """Return the keys of what any function *name* returns."""
        found = _Fields()
        definitions = self._known.functions.get(name, [])
        for definition in definitions:
            for node in ast.walk(definition):
                if isinstance(node, ast.Return) and node.value is not None:
                    found |= self._of_mapping(node.value, definition)
        if not definitions:
            raise self._unreadable(call)
        return found

    def _bound(self, name: str, scope: ast.AST, use: ast.expr) -> _Fields:
        """Return the keys that the local mapping *name* gets anywhere in *scope*."""
        found, is_known = _Fields(), False
        for node in ast.walk(scope):
            match node:
                case ast.Assign(targets=[ast.Name(id=bound)], value=value) if bound == name:
                    found |= self._of_mapping(value, scope)
                    is_known = True
                case ast.AnnAssign(target=ast.Name(id=bound), value=ast.expr() as value) if (
                    bound == name
                ):
                    found |= self._of_mapping(value, scope)
                    is_known = True
                case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=bound), slice=key)]) if (
                    bound == name
                ):
                    own = self.key(key) if not _is_exc_info(key) else None
                    found |= _Fields(frozenset({own}) if own else _FAULT)
        if not is_known:
            raise self._unreadable(use)
        return found

    def _unreadable(self, node: ast.expr | None) -> UnreadableLogCallError:
        shown = "nothing" if node is None else f"{node.lineno}: {ast.unparse(node)}"
        return UnreadableLogCallError(f"{self._file}:{shown}: cannot tell which fields these are")


def _returns_mapping(function: _FunctionDef) -> bool:
    return function.returns is not None and ast.unparse(function.returns).startswith(
        ("dict[str,", "Mapping[str,")
    )


def _scoped(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield each node with the outermost function that holds it, or the module."""
    for statement in tree.body:
        members = statement.body if isinstance(statement, ast.ClassDef) else [statement]
        for member in members:
            scope = member if isinstance(member, _FunctionDef) else tree
            for node in ast.walk(member):
                yield scope, node


def _is_log_method(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and _is_name(function.value, LOGGER)


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_exc_info(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == "exc_info"


def _is_call_context(node: ast.expr) -> bool:
    """Tell whether *node* is called `call` or `_call`, as a `CallContext` is everywhere."""
    return ast.unparse(node).rpartition(".")[2] in {"call", "_call"}


def _annotations_item(node: ast.expr) -> ast.Subscript | None:
    match node:
        case ast.Subscript(value=ast.Attribute(attr="fields", value=owner)):
            return node if _is_call_context(owner) else None
        case _:
            return None
