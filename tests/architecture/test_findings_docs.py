"""Security teams read in docs/findings.md what `keyturn audit verify` can find."""

from __future__ import annotations

from keyturn_cli.audit.findings import CATALOGUE
from tests.architecture.documented_tables import table_rows


def test_the_documented_findings_are_those_of_the_catalogue() -> None:
    rows = table_rows("docs/findings.md", "The codes", "code")

    assert rows == [
        [f"`{code}`", kind.severity.value, kind.sentence, kind.advice]
        for code, kind in CATALOGUE.items()
    ]
