"""What stands in the catalogue of findings for one code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Whether a finding makes the verification fail."""

    FINDING = "finding"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class FindingKind:
    """One code of the catalogue.

    Attributes:
        severity: Whether it makes the verification fail.
        sentence: What was found; may name `{facts}` of the finding.
        advice: What to do.
    """

    severity: Severity
    sentence: str
    advice: str


def finding(sentence: str, advice: str) -> FindingKind:
    """Return a kind that makes the verification fail."""
    return FindingKind(Severity.FINDING, sentence, advice)


def notice(sentence: str, advice: str) -> FindingKind:
    """Return a kind that is told and no more."""
    return FindingKind(Severity.NOTICE, sentence, advice)
