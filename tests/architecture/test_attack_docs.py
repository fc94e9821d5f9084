"""People read in docs/attacks.md which attacks are tried; the list is the table's."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.architecture.documented_tables import code_words, table_rows
from tests.e2e import attack_apps, attack_gateway, attack_people, attack_strict, attack_tokens
from tests.e2e.attack_table import Threat

ATTACKS = "docs/attacks.md"
ROWS = [
    *attack_apps.ATTACKS,
    *attack_tokens.ATTACKS,
    *attack_people.ATTACKS,
    *attack_gateway.ATTACKS,
    *attack_strict.ATTACKS,
    *attack_strict.STALE,
]
# These are tried by tests of their own, which the document names.
ELSEWHERE = {
    Threat.GATEWAY_AS_OWNER,
    Threat.OWNER_AS_GATEWAY,
    Threat.SETTLEMENT,
    Threat.ORACLE,
}


def _documented() -> dict[str, tuple[list[str], list[str]]]:
    return {
        threat: (code_words(refused), code_words(tests))
        for threat, _, refused, tests in table_rows(ATTACKS, "The list", "threat")
    }


def test_every_threat_is_documented_with_its_tests() -> None:
    documented = _documented()

    assert list(documented) == [threat.value for threat in Threat]
    assert all(tests for _, tests in documented.values())


def test_every_threat_has_rows_or_tests_of_its_own() -> None:
    assert {row.threat for row in ROWS} | ELSEWHERE == set(Threat)
    assert {row.threat for row in ROWS} & ELSEWHERE == set()


@pytest.mark.parametrize("threat", sorted(set(Threat) - ELSEWHERE))
def test_the_reasons_of_a_threats_attacks_are_those_that_are_documented(threat: Threat) -> None:
    reasons = {row.heard[1] for row in ROWS if row.threat is threat}

    assert set(_documented()[threat.value][0]) == reasons


def test_no_two_attacks_have_the_same_name() -> None:
    counts: defaultdict[str, int] = defaultdict(int)
    for row in ROWS:
        counts[str(row)] += 1

    assert [name for name, count in counts.items() if count > 1] == []
