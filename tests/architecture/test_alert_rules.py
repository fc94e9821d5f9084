"""Alerts ask for series that exist, are tested both ways, and lead to a page that helps."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.label_words import REASONS, SECURITY_EVENT_NAMES
from tests.architecture.measured import series
from tests.architecture.promql import Matcher, Selector, grouping_labels, selectors
from tests.architecture.source_tree import ROOT

ALERTS = ROOT / "deploy" / "observability" / "alerts"
RULES = ALERTS / "keyturn.rules.yml"
TESTS = ALERTS / "keyturn.rules.test.yml"
RUNBOOKS = ROOT / "docs" / "runbooks"
PROMTOOL = Path(sys.executable).with_name("promtool")
HEADINGS = ["What it means", "What callers see", "What to look at", "What to do"]
# What Prometheus itself adds.
SCRAPED = frozenset({"job", "instance"})
JOBS = {"keyturn-gateway", "keyturn-keyvault"}

WANTED = {
    "KeyturnAnomalyFound",
    "KeyturnAuditStreamFailing",
    "KeyturnCertificateExpiring",
    "KeyturnErrorBudgetBurnFast",
    "KeyturnErrorBudgetBurnSlow",
    "KeyturnEventLoopLag",
    "KeyturnGatewayDown",
    "KeyturnKeyServiceDown",
    "KeyturnLatencyHigh",
    "KeyturnLeasesUnsettled",
    "KeyturnLimitStoreAway",
    "KeyturnNotificationsDropped",
    "KeyturnRefusalsSpike",
    "KeyturnReplicaDown",
    "KeyturnSecurityEvent",
    "KeyturnUpstreamFailing",
    "KeyturnVaultDenied",
    "KeyturnVaultTokenExpiring",
    "KeyturnVaultUnavailable",
}


def _rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


ALERTING = {rule["alert"]: rule for rule in _rules() if "alert" in rule}
RECORDED = {rule["record"] for rule in _rules() if "record" in rule}
CASES = yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
EACH_ALERT = pytest.mark.parametrize("alert", sorted(ALERTING))


def _known_series() -> dict[str, frozenset[str]]:
    known = {name: labels | SCRAPED for name, labels in series().items()}
    return known | dict.fromkeys(RECORDED, frozenset()) | {"up": SCRAPED}


def _asked() -> Iterator[tuple[str, Selector]]:
    for rule in _rules():
        for selector in selectors(rule["expr"]):
            yield rule.get("alert") or rule["record"], selector


def test_the_alerts_are_those_that_operators_count_on() -> None:
    assert set(ALERTING) == WANTED


def test_rules_ask_for_series_that_the_services_have() -> None:
    known = _known_series()

    assert {(rule, s.name) for rule, s in _asked() if s.name not in known} == set()


def test_rules_ask_for_labels_that_the_series_have() -> None:
    known = _known_series()

    strange = {
        (rule, selector.name, matcher.label)
        for rule, selector in _asked()
        for matcher in selector.matchers
        if matcher.label not in known[selector.name]
    }
    assert strange == set()


def test_rules_group_by_labels_that_their_series_have() -> None:
    known = _known_series()

    for rule in _rules():
        labels = set().union(*(known[s.name] for s in selectors(rule["expr"])))
        assert grouping_labels(rule["expr"]) <= labels, rule


@pytest.mark.parametrize(
    ("label", "values"),
    [("reason", REASONS), ("event", SECURITY_EVENT_NAMES), ("job", JOBS)],
)
def test_rules_name_values_that_the_services_have(label: str, values: set[str]) -> None:
    named = {
        alternative
        for _, selector in _asked()
        for matcher in selector.matchers
        if matcher.label == label
        for alternative in matcher.alternatives()
    }

    assert named
    assert named <= values


@EACH_ALERT
def test_an_alert_says_what_it_is_and_how_urgent(alert: str) -> None:
    rule = ALERTING[alert]

    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{alert}.md"


@EACH_ALERT
def test_an_alert_has_a_page_that_says_what_to_do(alert: str) -> None:
    page = (RUNBOOKS / f"{alert}.md").read_text(encoding="utf-8")

    assert page.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS
    sections = re.split(r"^## .+$", page, flags=re.MULTILINE)[1:]
    assert [len(section.split()) >= 10 for section in sections] == [True] * len(HEADINGS)


def test_no_page_is_about_an_alert_that_does_not_exist() -> None:
    assert {page.stem for page in RUNBOOKS.glob("Keyturn*.md")} == set(ALERTING)


@EACH_ALERT
def test_an_alert_is_tested_where_it_fires_and_where_it_must_not(alert: str) -> None:
    fires = [
        bool(expected["exp_alerts"])
        for case in CASES
        for expected in case["alert_rule_test"]
        if expected["alertname"] == alert
    ]

    assert set(fires) == {False, True}


@pytest.mark.promtool
def test_the_rules_are_well_formed() -> None:
    assert _promtool("check", "rules", RULES).returncode == 0


@pytest.mark.promtool
def test_the_rules_fire_when_they_have_to_and_not_otherwise() -> None:
    ended = _promtool("test", "rules", TESTS)

    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.promtool
def test_a_rule_that_does_not_fire_is_noticed(tmp_path: Path) -> None:
    fast = "KeyturnErrorBudgetBurnFast"
    tests = yaml.safe_load(TESTS.read_text(encoding="utf-8"))
    tests["tests"] = [case for case in tests["tests"] if fast in str(case["alert_rule_test"])]
    (tmp_path / TESTS.name).write_text(yaml.safe_dump(tests), encoding="utf-8")
    rules = RULES.read_text(encoding="utf-8").replace("> 0.0144", "> 0.5")
    (tmp_path / RULES.name).write_text(rules, encoding="utf-8")

    ended = _promtool("test", "rules", tmp_path / TESTS.name)

    assert ended.returncode != 0
    assert fast in ended.stdout + ended.stderr


def test_expressions_are_read_as_prometheus_reads_them() -> None:
    expression = (
        'sum by (job, le) (rate(a_bucket{job=~"x|y",le="0.1"}[5m])) > 10 * b:rate5m and c offset 1h'
    )

    assert selectors(expression) == [
        Selector("a_bucket", (Matcher("job", "=~", "x|y"), Matcher("le", "=", "0.1"))),
        Selector("b:rate5m", ()),
        Selector("c", ()),
    ]
    assert grouping_labels(expression) == {"job", "le"}


def _promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
