"""What was found, by code: counted all, and kept some of each."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from keyturn_cli.audit.entries import Place
from keyturn_cli.audit.finding_kind import Severity
from keyturn_cli.audit.findings import CATALOGUE, Finding


class FindingSummary:
    """Counts findings; keeps the first of each code, however many come.

    Attributes:
        counts: How many there are of each code.
        kept: The first of each code.
    """

    def __init__(self, most: int) -> None:
        """Keep at most *most* of each code."""
        self._most = most
        self.counts: Counter[str] = Counter()
        self.kept: defaultdict[str, list[Finding]] = defaultdict(list)

    def add(self, finding: Finding) -> None:
        """Take in *finding*."""
        self.counts[finding.code] += 1
        if len(self.kept[finding.code]) < self._most:
            self.kept[finding.code].append(finding)

    def count(self, severity: Severity) -> int:
        """Return how many there are of *severity*."""
        return sum(
            count for code, count in self.counts.items() if CATALOGUE[code].severity is severity
        )

    def codes(self) -> list[str]:
        """Return the codes that were found, in the order of the catalogue, notices last."""
        found = [code for code in CATALOGUE if self.counts[code]]
        return sorted(found, key=lambda code: CATALOGUE[code].severity is Severity.NOTICE)

    def state(self) -> dict[str, Any]:
        """Return all of it as JSON types."""
        return {
            "counts": dict(self.counts),
            "kept": [_document(finding) for findings in self.kept.values() for finding in findings],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from *state*.

        Raises:
            KeyError, TypeError: It is no state.
        """
        for document in state.get("kept", ()):
            self.kept[document["code"]].append(_finding(document))
        self.counts.update(state.get("counts", {}))


def mark_of(finding: Finding) -> str:
    """Return what tells *finding* from others, also when its log was renamed meanwhile."""
    lines = sorted(place.line for place in finding.places)
    said = (finding.code, finding.time_us, sorted(finding.facts.items()), lines)
    return hashlib.blake2b(repr(said).encode(), digest_size=8).hexdigest()


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "time_us": finding.time_us,
        "places": [[place.log, place.line] for place in finding.places],
        "facts": dict(finding.facts),
    }


def _finding(document: Mapping[str, Any]) -> Finding:
    places = tuple(Place(log, line) for log, line in document["places"])
    return Finding(document["code"], document["time_us"], places, document["facts"])
