from __future__ import annotations

import json

from keyturn_cli.audit.entries import Place
from keyturn_cli.audit.finding_kind import Severity
from keyturn_cli.audit.finding_summary import FindingSummary, mark_of
from keyturn_cli.audit.findings import Finding


def _finding(line: int, code: str = "LINE_UNREADABLE", log: str = "audit.log") -> Finding:
    return Finding(code, line, (Place(log, line),), {"path": "sys/raw"})


def _summary() -> FindingSummary:
    summary = FindingSummary(3)
    summary.add(_finding(7, "SERVICE_LINE_UNREADABLE"))
    for line in range(10):
        summary.add(_finding(line))
    return summary


def test_all_are_counted_and_the_first_of_each_code_are_kept() -> None:
    summary = _summary()

    assert summary.counts == {"SERVICE_LINE_UNREADABLE": 1, "LINE_UNREADABLE": 10}
    assert summary.kept["LINE_UNREADABLE"] == [_finding(line) for line in range(3)]
    assert summary.count(Severity.FINDING) == 10
    assert summary.count(Severity.NOTICE) == 1


def test_notices_come_last() -> None:
    assert _summary().codes() == ["LINE_UNREADABLE", "SERVICE_LINE_UNREADABLE"]


def test_a_summary_survives_as_json() -> None:
    summary, later = _summary(), FindingSummary(3)

    later.restore(json.loads(json.dumps(summary.state())))

    assert (later.counts, later.kept) == (summary.counts, summary.kept)


def test_a_finding_is_known_again_in_a_renamed_log_only() -> None:
    assert mark_of(_finding(1)) == mark_of(_finding(1, log="audit.log.1"))
    assert mark_of(_finding(1)) != mark_of(_finding(2))
