"""What is logged is in the catalogue, and what is in the catalogue is logged."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway_svc.log_events import EVENTS as GATEWAY_EVENTS
from keyvault_svc.log_events import EVENTS as KEY_SERVICE_EVENTS
from svc_runtime.log_event import AUDIT_FIELDS, COMMON_FIELDS, LogEvent, LogLevel
from svc_runtime.log_events import RUNTIME_EVENTS
from svc_runtime.log_fields import FIELD_MEANINGS, LogField
from tests.architecture.logged_events import (
    LOGGER,
    Logged,
    UnreadableLogCallError,
    annotated,
    logged,
)
from tests.architecture.source_tree import files, parse, relative

EVENTS_OF = {"gateway_svc": GATEWAY_EVENTS, "keyvault_svc": KEY_SERVICE_EVENTS}
SERVICE = pytest.mark.parametrize("service", EVENTS_OF)
# Where calls of the other kind are annotated.
_APART = {"rpc": ("/http/",), "http": ("/rpc/", "/interceptors/")}
_GRAVE = {LogLevel.WARNING, LogLevel.ERROR, LogLevel.CRITICAL}


def _trees(*packages: str) -> dict[str, ast.Module]:
    return {
        relative(path): parse(path)
        for package in packages
        for path in files(f"{package}/*.py", f"{package}/**/*.py")
    }


def _logged_in(trees: dict[str, ast.Module]) -> list[Logged]:
    """Return every log call of *trees*, with the fields that calls are annotated with."""
    return [
        replace(call, fields=call.fields | _annotations(trees, call.event))
        if call.has_annotations
        else call
        for call in logged(trees)
    ]


def _annotations(trees: dict[str, ast.Module], event: str) -> frozenset[str]:
    apart = _APART.get(event, ())
    return annotated(
        {file: tree for file, tree in trees.items() if not any(part in file for part in apart)}
    )


def _difference(
    calls: list[Logged], events: Sequence[LogEvent], elsewhere: Sequence[Logged] = ()
) -> list[str]:
    """Return in what *calls* and the catalogue *events* differ, as sentences.

    What events of the runtime say may also be said *elsewhere*, in the other service.
    """
    catalogue = {event.name: event for event in events}
    wrong = _not_in_catalogue(calls, catalogue)
    for event in events:
        possible = [*calls, *elsewhere] if event in RUNTIME_EVENTS else calls
        wrong += _not_in_code([call for call in possible if call.event == event.name], event)
    return wrong


def _not_in_catalogue(calls: list[Logged], catalogue: dict[str, LogEvent]) -> list[str]:
    wrong = []
    for call in calls:
        event = catalogue.get(call.event)
        if event is None:
            wrong.append(f"{call.place}: event {call.event} is not in the catalogue")
            continue
        if call.level not in event.levels:
            wrong.append(f"{call.place}: {call.event} is not of level {call.level}")
        more = call.fields - {*COMMON_FIELDS, *event.fields}
        wrong += [f"{call.place}: {call.event} has no field {field}" for field in sorted(more)]
    return wrong


def _not_in_code(calls: list[Logged], event: LogEvent) -> list[str]:
    if not calls:
        return [f"{event.name} is logged nowhere"]
    levels = set(event.levels).difference(call.level for call in calls)
    fields = set(event.fields).difference(*(call.fields for call in calls))
    return [
        *(f"{event.name} is never of level {level}" for level in sorted(levels)),
        *(f"{event.name} never has the field {field}" for field in sorted(fields)),
    ]


@SERVICE
def test_the_catalogue_is_what_the_service_logs(service: str) -> None:
    calls = _logged_in(_trees("svc_runtime", service))
    elsewhere = _logged_in(_trees(*EVENTS_OF))

    assert _difference(calls, EVENTS_OF[service], elsewhere) == []


@SERVICE
def test_no_event_stands_twice_in_a_catalogue(service: str) -> None:
    names = Counter(event.name for event in EVENTS_OF[service])

    assert [name for name, count in names.items() if count > 1] == []


@SERVICE
def test_what_is_grave_or_for_security_says_what_to_do(service: str) -> None:
    silent = [
        event.name
        for event in EVENTS_OF[service]
        if (_GRAVE.intersection(event.levels) or event.is_security) and not event.remedy
    ]

    assert silent == []


@SERVICE
def test_every_sentence_of_the_catalogue_is_whole(service: str) -> None:
    broken = [
        event.name
        for event in EVENTS_OF[service]
        for text in (event.meaning, event.remedy or ".")
        if not text.endswith(".") or set(text) & {"|", "\n"}  # it becomes a cell of a table
    ]

    assert broken == []


def test_every_field_is_of_some_event() -> None:
    used = {field for events in EVENTS_OF.values() for event in events for field in event.fields}

    assert set(LogField) == used.union(COMMON_FIELDS, AUDIT_FIELDS)


def test_every_field_has_a_meaning() -> None:
    assert set(FIELD_MEANINGS) == set(LogField)
    assert [field for field, text in FIELD_MEANINGS.items() if not text.endswith(".")] == []


def test_nothing_logs_by_another_way() -> None:
    ways = ("structlog.get_logger()", "structlog.stdlib.get_logger()")
    others = [
        f"{file}:{node.lineno}"
        for file, tree in _trees("svc_runtime", "keyvault_svc", "gateway_svc").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and ast.unparse(node.value) in ways
        and ast.unparse(node.targets[0]) != LOGGER
    ]

    assert others == []


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ('_log.info("started", count=1)', ""),
        ('_log.warning("started", count=1)', "started is not of level warning"),
        ('_log.info("started", count=1, port=2)', "started has no field port"),
        ('_log.info("ended")', "event ended is not in the catalogue"),
        ("x = 1", "started is logged nowhere"),
        ('STARTED: Final = "started"\n_log.info(STARTED, count=1)', ""),
        ('_log.info("started")', "started never has the field count"),
        ('_log.info("started", count=1, exc_info=e)', "started has no field exception"),
        ('f = {"count": 1, "port": 2}\n_log.info("started", **f)', "started has no field port"),
        ('f = {"count": 1}\nf["port"] = 2\n_log.info("started", **f)', "started has no field port"),
    ],
    ids=[
        "right",
        "wrong level",
        "field too many",
        "unknown event",
        "never logged",
        "by a constant",
        "field never there",
        "hidden fields of a fault",
        "field in a mapping",
        "field put into a mapping",
    ],
)
def test_a_difference_is_seen(source: str, sentence: str) -> None:
    event = LogEvent(
        name="started", level=LogLevel.INFO, meaning="It did.", fields=(LogField.COUNT,)
    )

    found = _difference(logged({"a.py": ast.parse(source)}), [event])

    assert [sentence in difference for difference in found[:1]] == ([True] if sentence else [])


def test_what_calls_are_annotated_with_belongs_to_their_event() -> None:
    trees = {
        "a.py": ast.parse('annotate(key=k)\ncall.fields[LogField.STATE] = "x"'),
        "svc/http/c.py": ast.parse("annotate(close_code=1000)"),
        "b.py": ast.parse('_log.info("rpc", **{**call.fields, LogField.CODE: c})'),
    }

    [call] = _logged_in(trees)

    assert call.fields == {"key", "state", "code"}


@pytest.mark.parametrize(
    "source",
    [
        "_log.info(name)",
        'NAME = "a"\nif x:\n    pass\nNAME = "b"\n_log.info(NAME)',
        '_log.info("a", "b")',
        '_log.log(20, "a")',
        '_log.info("a", **unknown)',
        '_log.info("a", **unknown())',
        "write = _log.info",
        "write(_log)",
    ],
)
def test_a_log_call_that_cannot_be_read_is_an_error(source: str) -> None:
    with pytest.raises(UnreadableLogCallError):
        logged({"a.py": ast.parse(source)})
