"""Every code of the catalogue is used, and every code that is used is in it."""

from __future__ import annotations

import re

import pytest

from keyturn_cli.audit.entries import Place
from keyturn_cli.audit.finding_kind import Severity
from keyturn_cli.audit.findings import CATALOGUE, Finding
from tests.architecture.source_tree import ROOT

_AUDIT = ROOT / "keyturn_cli" / "audit"
_CODE = re.compile(r'"([A-Z]{2,}(?:_[A-Z]+)+)"')
_KINDS = "kinds_of_"


def test_the_codes_in_the_catalogue_are_those_that_rules_find() -> None:
    used = {
        code
        for path in _AUDIT.rglob("*.py")
        if not path.name.startswith(_KINDS)
        for code in _CODE.findall(path.read_text(encoding="utf-8"))
    }

    assert used >= CATALOGUE.keys()
    assert {code for code in used if code not in CATALOGUE} <= {"KEYTURN_VAULT_AUDIT_LOG"}


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_finding_says_what_was_found_and_what_to_do(code: str) -> None:
    finding = Finding(code, 0, (Place("audit.log", 1),))
    kind = CATALOGUE[code]

    assert finding.sentence.endswith(".")
    assert kind.advice.endswith((".", ")."))
    assert kind.severity in Severity
    assert "|" not in kind.sentence + kind.advice


def test_a_sentence_names_its_facts_and_a_dash_for_those_that_are_not_known() -> None:
    finding = Finding("LEASE_APP_DIFFERS", 0, (), {"lease": "l", "read": "a", "opened": ""})

    assert finding.sentence == "Lease l was given for a, and used for -."
