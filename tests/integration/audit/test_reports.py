"""What is reported of a real day, held against counts that are taken from its lines plainly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from keyturn_cli.audit.deployment import Deployment
from keyturn_cli.audit.entries import Place, parse_service_line, parse_vault_line
from keyturn_cli.audit.key_history import KeyHistory
from keyturn_cli.audit.options import VerifyOptions
from keyturn_cli.audit.report import Dimension, ReportFilter, UsageReport
from tests.integration.audit.day import Day

_DECRYPT = "keyturn-transit/decrypt/openai"
_RECORDS = "keyturn-kv/data/"
_SERVICE = "keyvault-svc"


def _deployment(day: Day) -> Deployment:
    return Deployment(
        VerifyOptions(windows=tuple(day.windows), signing_keys=tuple(day.signing_keys))
    )


def _feed(
    day: Day, see_vault: Callable[[Any], object], see_service: Callable[[Any], object]
) -> None:
    """Hand over all lines in the order of time."""
    lines: list[tuple[int, Callable[[Any], object], Any]] = []
    for number, raw in enumerate(day.vault, 1):
        entry = parse_vault_line(raw, Place("audit.log", number))
        assert entry is not None
        lines.append((entry.time_us, see_vault, entry))
    for name, raws in day.services.items():
        for number, raw in enumerate(raws, 1):
            if record := parse_service_line(raw, Place(name, number)):
                lines.append((record.time_us, see_service, record))
    for _, see, content in sorted(lines, key=lambda line: line[0]):
        see(content)


def _answers(day: Day) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Yield Vault's answers without an error, each with its audited headers."""
    for raw in day.vault:
        entry = json.loads(raw)
        if entry["type"] == "response" and not entry.get("error"):
            headers = entry["request"].get("headers") or {}
            yield entry["request"], {name: values[0] for name, values in headers.items()}


def _settled(day: Day) -> Iterator[dict[str, Any]]:
    for raw in day.services[_SERVICE]:
        if raw.startswith(b"{") and (record := json.loads(raw))["event"] == "lease_settled":
            yield record


def test_the_report_of_a_real_day_counts_what_its_logs_hold(day: Day) -> None:
    report = UsageReport(_deployment(day), [Dimension.KEY, Dimension.APP], ReportFilter())
    _feed(day, report.see_vault, report.see_service)
    report.finish()

    opened, leases = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for request, headers in _answers(day):
        group = headers.get("x-keyturn-key", ""), headers.get("x-keyturn-app", "")
        if request["path"] == _DECRYPT:
            opened[group] += 1
        elif request["path"] == _RECORDS + group[0] and "x-keyturn-lease" in headers:
            leases[group] += 1
    tokens = Counter[tuple[str, str]]()
    for record in _settled(day):
        tokens[record["key"], record["app"]] += record["input_tokens"] + record["output_tokens"]
    rows = report.rows
    assert {group: row.opened_count for group, row in rows.items() if row.opened_count} == opened
    assert {group: row.opened_count + row.refused_count for group, row in rows.items()} == leases
    assert {
        group: row.input_tokens + row.output_tokens
        for group, row in rows.items()
        if group in tokens
    } == tokens
    assert report.total.irregular_count == 0
    # A verification that another worker was faster with leaves a lease, and no reason.
    refused = sum(row.refused_count for (_, app), row in rows.items() if "/app/" in app)
    assert refused == sum(report.total.reasons.values())


def test_the_history_of_each_key_of_a_real_day_is_whole_and_without_a_finding(day: Day) -> None:
    keys = Counter(
        headers["x-keyturn-key"]
        for request, headers in _answers(day)
        if request["path"] == _DECRYPT
    )
    assert keys
    for key, opened_count in keys.items():
        history = KeyHistory(key, _deployment(day), is_whole=True)
        _feed(day, history.see_vault, history.see_service)
        events = history.finish()

        assert sum(event.what.startswith("opened") for event in events) == opened_count
        assert not history.findings
        assert events[0].cause.startswith("CreateKey by ")
        changes = [event for event in events if event.what == "record changed"]
        assert changes
        assert all(event.cause or event.who == "keyvault-maintenance" for event in changes)
