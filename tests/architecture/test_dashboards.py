"""Dashboards are what Grafana takes, and ask for series that exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.label_words import REASONS, SECURITY_EVENT_NAMES
from tests.architecture.measured import series
from tests.architecture.promql import grouping_labels, selectors
from tests.architecture.source_tree import ROOT

FOLDER = ROOT / "deploy" / "observability" / "dashboards"
RULES = ROOT / "deploy" / "observability" / "alerts" / "keyturn.rules.yml"
PROMTOOL = Path(sys.executable).with_name("promtool")
NAMES = ["cost", "platform", "security"]
EACH = pytest.mark.parametrize("name", NAMES)
SCRAPED = frozenset({"job", "instance"})
COLUMNS = 24
PANEL_TYPES = {"bargauge", "row", "stat", "timeseries"}
# Grafana's own, of Prometheus' data source.
VARIABLES = {"$__range": "6h", "$__rate_interval": "5m"}


def _dashboard(name: str) -> dict[str, Any]:
    board: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return board


def _panels(name: str) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = _dashboard(name)["panels"]
    return panels


def _targets(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for panel in _panels(name):
        for target in panel.get("targets", []):
            yield panel["title"], target


def _known_series() -> dict[str, frozenset[str]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    recorded = [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]
    measured = {name: labels | SCRAPED for name, labels in series().items()}
    return measured | dict.fromkeys(recorded, frozenset()) | {"up": SCRAPED}


def test_the_dashboards_are_these() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == NAMES


@EACH
def test_a_dashboard_is_of_a_form_that_grafana_takes(name: str) -> None:
    board = _dashboard(name)

    assert board["uid"] == f"keyturn-{name}"
    assert isinstance(board["schemaVersion"], int)
    assert set(board["time"]) == {"from", "to"}
    assert board["tags"] == ["keyturn"]
    assert "id" not in board  # of another Grafana's database
    (variable,) = board["templating"]["list"]
    assert (variable["name"], variable["type"]) == ("datasource", "datasource")


@EACH
def test_panels_have_what_their_type_needs(name: str) -> None:
    panels = _panels(name)

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["type"] for panel in panels} <= PANEL_TYPES
    for panel in panels:
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["targets"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs)


@EACH
def test_panels_stand_side_by_side(name: str) -> None:
    places = [panel["gridPos"] for panel in _panels(name)]

    assert all(p["x"] >= 0 and p["x"] + p["w"] <= COLUMNS and p["h"] > 0 for p in places)
    assert [pair for pair in combinations(places, 2) if _overlap(*pair)] == []


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


@EACH
def test_every_query_asks_the_data_source_that_is_chosen(name: str) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}

    assert [title for title, target in _targets(name) if target["datasource"] != chosen] == []


@EACH
def test_every_query_asks_for_series_and_labels_that_exist(name: str) -> None:
    known = _known_series()

    for title, target in _targets(name):
        found = selectors(target["expr"])
        assert {s.name for s in found} <= known.keys(), title
        for selector in found:
            labels = {matcher.label for matcher in selector.matchers}
            assert labels <= known[selector.name], title
        together = frozenset().union(*(known[s.name] for s in found))
        assert grouping_labels(target["expr"]) <= together | {"le"}, title


@EACH
def test_every_legend_names_labels_that_the_query_keeps(name: str) -> None:
    known = _known_series()

    for title, target in _targets(name):
        kept = grouping_labels(target["expr"])
        if not kept:
            kept = set().union(*(known[s.name] for s in selectors(target["expr"])))
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert named <= kept, title


@EACH
def test_values_that_queries_name_exist(name: str) -> None:
    words = {"reason": REASONS, "event": SECURITY_EVENT_NAMES}
    named = [
        (matcher.label, alternative)
        for _, target in _targets(name)
        for selector in selectors(target["expr"])
        for matcher in selector.matchers
        if matcher.label in words
        for alternative in matcher.alternatives()
    ]

    assert [
        (label, pattern)
        for label, pattern in named
        if not any(re.fullmatch(pattern, word) for word in words[label])
    ] == []


def test_no_query_can_show_who_it_was() -> None:
    asked = {label for name in NAMES for _, t in _targets(name) for label in _labels_of(t["expr"])}

    assert asked.isdisjoint({"app", "grant", "key", "lease", "owner", "request_id"})


def _labels_of(expression: str) -> set[str]:
    matched = {m.label for s in selectors(expression) for m in s.matchers}
    return matched | grouping_labels(expression)


def test_every_metric_is_shown_somewhere() -> None:
    shown = {s.name for name in NAMES for _, t in _targets(name) for s in selectors(t["expr"])}
    shown |= {
        selector.name
        for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        for selector in selectors(rule["expr"])
    }
    histograms = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}

    missing = {
        name
        for name in series()
        if name not in shown and re.sub(r"_(bucket|sum|count)$", "", name) not in histograms
    }
    assert missing == set()


@pytest.mark.promtool
def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    expressions = [t["expr"] for name in NAMES for _, t in _targets(name)]
    for variable, value in VARIABLES.items():
        expressions = [expression.replace(variable, value) for expression in expressions]
    rules = [{"record": f"shown:{i}", "expr": expr} for i, expr in enumerate(expressions)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": rules}]}), "utf-8")

    checked = subprocess.run(
        [PROMTOOL, "check", "rules", "--lint=none", file],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
