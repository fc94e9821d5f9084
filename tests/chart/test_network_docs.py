"""docs/network.md lists the arrows that the chart draws, each with its ports."""

from __future__ import annotations

from tests.architecture.documented_tables import code_words, table_rows
from tests.chart.reachability_table import release_of
from tests.chart.releases import Release

_ARROW = "keyturn/arrow"


def _documented() -> dict[str, str]:
    rows = table_rows("docs/network.md", "Arrows", "arrow")
    return {arrow: row[1] for row in rows for arrow in code_words(row[0])}


def _rendered(release: Release) -> dict[str, set[int]]:
    arrows: dict[str, set[int]] = {}
    for policy in release.of_kind("NetworkPolicy"):
        rules = [*policy["spec"].get("ingress", ()), *policy["spec"].get("egress", ())]
        ports = {port["port"] for rule in rules for port in rule["ports"]}
        if arrow := policy["metadata"]["labels"].get(_ARROW):
            arrows.setdefault(arrow, set()).update(ports)
    return arrows


def test_every_arrow_is_documented_and_drawn() -> None:
    assert set(_rendered(release_of("full"))) == set(_documented())


def test_the_arrows_of_the_defaults_are_among_them(minimal: Release) -> None:
    always = {
        arrow
        for row in table_rows("docs/network.md", "Arrows", "arrow")
        if row[2] == "always"
        for arrow in code_words(row[0])
    }

    assert always <= set(_rendered(minimal))


def test_the_ports_are_those_of_the_table() -> None:
    rendered = _rendered(release_of("full"))
    wrong = {
        arrow: (text, rendered[arrow])
        for arrow, text in _documented().items()
        if text[0].isdigit()
        if {int(part) for part in text.split(",")} != rendered[arrow]
    }

    assert wrong == {}


def test_one_policy_denies_all_and_every_other_is_an_arrow(release: Release) -> None:
    plain = [
        policy["metadata"]["name"]
        for policy in release.of_kind("NetworkPolicy")
        if _ARROW not in policy["metadata"]["labels"]
    ]

    assert [name.rpartition("-deny-")[2] for name in plain] == ["all"]
