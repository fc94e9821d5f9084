"""Service levels are told by series that exist, and agree with the alerts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from svc_runtime.telemetry.metrics import CALL_SECONDS, SHORT_SECONDS
from tests.architecture.label_words import REASONS
from tests.architecture.measured import series
from tests.architecture.promql import grouping_labels, selectors
from tests.architecture.source_tree import ROOT

PAGE = (ROOT / "docs" / "slo.md").read_text(encoding="utf-8")
RULES = ROOT / "deploy" / "observability" / "alerts" / "keyturn.rules.yml"
PROMTOOL = Path(sys.executable).with_name("promtool")
QUERIES = re.findall(r"^```promql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SCRAPED = frozenset({"job", "instance"})
SECONDS_OF_30_DAYS = 30 * 24 * 3600


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _known() -> dict[str, frozenset[str]]:
    recorded = [rule["record"] for rule in _rules() if "record" in rule]
    measured = {name: labels | SCRAPED for name, labels in series().items()}
    return measured | dict.fromkeys(recorded, frozenset())


def _alert(name: str) -> str:
    (rule,) = [rule for rule in _rules() if rule.get("alert") == name]
    return str(rule["expr"])


def test_queries_ask_for_series_and_labels_that_exist() -> None:
    known = _known()

    assert QUERIES
    for query in QUERIES:
        found = selectors(query)
        assert {selector.name for selector in found} <= known.keys()
        for selector in found:
            asked = {matcher.label for matcher in selector.matchers}
            assert asked <= known[selector.name], query
        labels = frozenset().union(*(known[selector.name] for selector in found))
        assert grouping_labels(query) <= labels


def test_queries_ask_for_times_at_which_histograms_have_a_bound() -> None:
    bounds = {str(bound) for bound in {*CALL_SECONDS, *SHORT_SECONDS}}
    asked = {
        matcher.value
        for query in QUERIES
        for selector in selectors(query)
        for matcher in selector.matchers
        if matcher.label == "le"
    }

    assert asked
    assert asked <= bounds


def test_the_page_and_the_rules_call_the_same_reasons_ours() -> None:
    (counted,) = {
        matcher.value
        for rule in _rules()
        if str(rule.get("record", "")).startswith("keyturn:gateway_outages:")
        for selector in selectors(rule["expr"])
        for matcher in selector.matchers
        if matcher.label == "reason"
    }
    asked = {
        matcher.value
        for query in QUERIES
        for selector in selectors(query)
        for matcher in selector.matchers
        if matcher.label == "reason"
    }
    prose = PAGE.partition("## What is not ours")[2].partition("\n## ")[0]

    assert asked == {counted}
    assert set(counted.split("|")) <= REASONS
    assert set(re.findall(r"`([A-Z_]+)`", prose)) == set(counted.split("|"))


@pytest.mark.parametrize(
    ("alert", "burn"), [("KeyturnErrorBudgetBurnFast", 14.4), ("KeyturnErrorBudgetBurnSlow", 6.0)]
)
def test_the_alerts_burn_the_budget_that_the_page_names(alert: str, burn: float) -> None:
    budget = 0.001
    thresholds = [float(figure) for figure in re.findall(r"> ([0-9.]+)", _alert(alert))]

    assert "99.9 %" in PAGE
    assert thresholds == pytest.approx([burn * budget, burn * budget])
    assert f"{burn:g} times" in PAGE
    assert f"{budget * SECONDS_OF_30_DAYS / 60:.1f} minutes" in PAGE


def test_the_alert_on_delay_is_the_level_that_the_page_names() -> None:
    (alert,) = re.findall(r"> ([0-9.]+)$", _alert("KeyturnLatencyHigh"), re.MULTILINE)
    asked = [matcher for query in QUERIES for s in selectors(query) for matcher in s.matchers]

    assert "histogram_quantile(0.99," in _alert("KeyturnLatencyHigh")
    assert f"leases within {alert} s | 99 %" in PAGE
    assert alert in {matcher.value for matcher in asked if matcher.label == "le"}


def test_the_alert_on_signatures_is_the_level_that_the_page_names() -> None:
    (alert,) = re.findall(r"unsigned\) > ([0-9]+)", _alert("KeyturnAuditStreamFailing"))

    assert any(f"<= bool {alert})" in query for query in QUERIES)


def test_every_level_has_an_alert_that_exists() -> None:
    named = set(re.findall(r"\[(Keyturn\w+)\]\(runbooks/\1\.md\)", PAGE))
    alerts = {rule["alert"] for rule in _rules() if "alert" in rule}

    assert named
    assert named <= alerts


@pytest.mark.promtool
def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"level:{i}", "expr": query} for i, query in enumerate(QUERIES)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "levels", "rules": rules}]}), "utf-8")

    checked = subprocess.run(
        [PROMTOOL, "check", "rules", "--lint=none", file],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
