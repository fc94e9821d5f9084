"""What `keyturn audit verify` can find: stable codes, in words, with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keyturn_cli.audit.entries import Place
from keyturn_cli.audit.finding_kind import FindingKind
from keyturn_cli.audit.kinds_of_chains import KINDS_OF_CHAINS
from keyturn_cli.audit.kinds_of_changes import KINDS_OF_CHANGES
from keyturn_cli.audit.kinds_of_logs import KINDS_OF_LOGS
from keyturn_cli.audit.kinds_of_use import KINDS_OF_USE

CATALOGUE: Final[Mapping[str, FindingKind]] = {
    **KINDS_OF_USE,
    **KINDS_OF_CHANGES,
    **KINDS_OF_LOGS,
    **KINDS_OF_CHAINS,
}
"""All codes, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found.

    Attributes:
        code: Of the catalogue.
        time_us: When it happened.
        places: The lines that show it.
        facts: What its sentence names: short texts, never a secret.
    """

    code: str
    time_us: int
    places: tuple[Place, ...]
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> FindingKind:
        """What the catalogue says of its code."""
        return CATALOGUE[self.code]

    @property
    def sentence(self) -> str:
        """What was found, with its facts."""
        return self.kind.sentence.format_map(_Facts(self.facts))


class _Facts(dict[str, str]):
    """Facts of a finding; one that is not known or empty is a dash."""

    def __missing__(self, name: str) -> str:
        return "-"

    def __getitem__(self, name: str) -> str:
        return super().get(name) or "-"
