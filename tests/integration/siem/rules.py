"""The Sigma rules, and what they find in lines of logs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from sigma.backends.sqlite.sqlite import sqliteBackend
from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingPipeline

from tests.architecture.source_tree import ROOT
from tests.integration.siem.ecs import FOLDER as ECS
from tests.integration.siem.ecs import Form, rows, time_field
from tests.integration.siem.event_table import EventTable

FOLDER: Final = ROOT / "deploy" / "siem" / "sigma"
EVENTS: Final = ROOT / "deploy" / "siem" / "events"
RULES: Final = {path.stem: path for path in sorted(FOLDER.glob("*.yml"))}


def documents(rule: str) -> list[dict[str, Any]]:
    """Return the documents of *rule*'s file: the rule, and before it what it counts if it does."""
    return list(yaml.safe_load_all(RULES[rule].read_text(encoding="utf-8")))


def product(rule: str) -> str:
    """Return whose log *rule* is for."""
    return str(documents(rule)[0]["logsource"]["product"])


@cache
def queries(rule: str, form: Form) -> tuple[str, ...]:
    """Return *rule* as SQLite's queries."""
    pipeline = None
    if form is Form.ECS:
        pipeline = ProcessingPipeline.from_yaml(_text(ECS / "sigma_pipeline.yml"))
    options: dict[str, Any] = {"timestamp_field": time_field(form)}
    backend = sqliteBackend(pipeline, **options)  # type: ignore[no-untyped-call]  # as published
    return tuple(backend.convert(SigmaCollection.load_ruleset([RULES[rule]])))


def count(rule: str, form: Form, lines: Iterable[str]) -> int:
    """Return how often *rule* fires on *lines* of its log."""
    return len(EventTable(rows(product(rule), form, lines)).hits(queries(rule, form)))


def firing(log: str, form: Form, lines: Iterable[str]) -> set[str]:
    """Return the rules for the log of product *log* that fire on *lines*."""
    table = EventTable(rows(log, form, lines))
    return {rule for rule in RULES if product(rule) == log and table.hits(queries(rule, form))}


def recorded(name: str) -> list[str]:
    """Return the lines of a file of test events."""
    return _text(EVENTS / f"{name}.jsonl").splitlines()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
