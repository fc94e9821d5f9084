"""What `keyturn audit verify` prints: by code for people, documents for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from keyturn_cli.audit.finding_kind import Severity
from keyturn_cli.audit.finding_summary import FindingSummary
from keyturn_cli.audit.findings import CATALOGUE, Finding
from keyturn_cli.audit.log_files import UnreadLog
from keyturn_cli.audit.options import SECOND_US
from keyturn_cli.printing import json_text, one_line

_INDENT: Final = "  "


def finding_document(finding: Finding) -> dict[str, Any]:
    """Return *finding* for programs."""
    return {
        "code": finding.code,
        "severity": finding.kind.severity.value,
        "time": iso_time(finding.time_us),
        "sentence": finding.sentence,
        "facts": dict(finding.facts),
        "lines": _lines(finding),
        "advice": finding.kind.advice,
    }


def summary_document(
    summary: FindingSummary,
    unread: Sequence[UnreadLog],
    sentence: str,
    figures: Mapping[str, int | float],
) -> dict[str, Any]:
    """Return a whole run for programs; of each code the first findings, and how many there are."""
    return {
        "verdict": sentence,
        "finding_count": summary.count(Severity.FINDING),
        "notice_count": summary.count(Severity.NOTICE),
        "counts": {code: summary.counts[code] for code in summary.codes()},
        "findings": [
            finding_document(finding) for code in summary.codes() for finding in summary.kept[code]
        ],
        "unread": [{"log": log.name, "reason": log.reason} for log in unread],
        "run": dict(figures),
    }


def print_json_line(finding: Finding) -> None:
    """Print *finding* as one line of JSON, at once."""
    click.echo(json_text(finding_document(finding)))


def print_finding(finding: Finding) -> None:
    """Print *finding* for people, at once."""
    click.echo(f"{iso_time(finding.time_us)}  {finding.kind.severity.value} {finding.code}")
    click.echo(f"{_INDENT}{one_line(finding.sentence)}")
    click.echo(f"{_INDENT}{_places(finding)}")
    click.echo(f"{_INDENT}{finding.kind.advice}")


def print_summary(summary: FindingSummary) -> None:
    """Print what was found, by code: the sentences with their lines, and what to do."""
    for code in summary.codes():
        kind, count = CATALOGUE[code], summary.counts[code]
        click.echo(f"{kind.severity.value} {code} ({count:,})")
        for finding in summary.kept[code]:
            click.echo(f"{_INDENT}{iso_time(finding.time_us)}  {one_line(finding.sentence)}")
            click.echo(f"{_INDENT * 2}{_places(finding)}")
        if count > len(summary.kept[code]):
            click.echo(f"{_INDENT}and {count - len(summary.kept[code]):,} more")
        click.echo(f"{_INDENT}What to do: {kind.advice}")
        click.echo()


def print_unread(unread: Sequence[UnreadLog]) -> None:
    """Print what could not be read, to standard error."""
    for log in unread:
        click.echo(
            f"error: {one_line(log.name)} could not be read: {one_line(log.reason)}", err=True
        )


def verdict(summary: FindingSummary, unread: Sequence[UnreadLog], *, is_whole: bool) -> str:
    """Return what was proved, in one sentence."""
    findings, notices = summary.count(Severity.FINDING), summary.count(Severity.NOTICE)
    told = f" ({_counted(notices, 'notice')})" if notices else ""
    if findings:
        return f"{_counted(findings, 'finding')}{told}: these logs show what may not happen."
    if unread:
        return f"Nothing is proved{told}: not all logs could be read."
    if not is_whole:
        return f"Interrupted: nothing was found so far{told}."
    return f"Nothing was found{told}: by these logs, every key was used within the rules."


def iso_time(time_us: int) -> str:
    """Return *time_us*, microseconds since 1970, in ISO 8601 with milliseconds."""
    time = datetime.fromtimestamp(time_us // SECOND_US, UTC)
    time = time.replace(microsecond=time_us % SECOND_US)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _places(finding: Finding) -> str:
    return one_line(" ".join(_lines(finding))) or "-"


def _lines(finding: Finding) -> list[str]:
    return [f"{place.log}:{place.line}" for place in finding.places]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
