"""The Sigma rules are valid, cover the catalogues, and fire on what they are about alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sigma.collection import SigmaCollection
from sigma.validation import SigmaValidator
from sigma.validators.core import validators

from gateway_svc.log_events import EVENTS as GATEWAY_EVENTS
from keyvault_svc.log_events import EVENTS as KEY_SERVICE_EVENTS
from tests.architecture.documented_tables import code_words, table_rows
from tests.integration.siem.ecs import Form
from tests.integration.siem.rules import (
    EVENTS,
    FOLDER,
    RULES,
    count,
    documents,
    firing,
    product,
    recorded,
)

EVENT_NAMES = {event.name for event in (*GATEWAY_EVENTS, *KEY_SERVICE_EVENTS)}
SECURITY_NAMES = {e.name for e in (*GATEWAY_EVENTS, *KEY_SERVICE_EVENTS) if e.is_security}
COUNTING = [rule for rule in RULES if len(documents(rule)) > 1]
# These two look tags up in lists that they download.
ONLINE = {"attacktag", "d3_fendtag"}
FORM = pytest.mark.parametrize("form", Form)
RULE = pytest.mark.parametrize("rule", RULES)


def _values(rule: str, field: str) -> set[str]:
    """Return what *rule* asks *field* for, whatever the modifier."""
    return {
        value
        for document in documents(rule)
        for name, asked in _items(document.get("detection"))
        if name.partition("|")[0] == field
        for value in (asked if isinstance(asked, list) else [asked])
    }


def _items(part: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - YAML
    if isinstance(part, list):
        for each in part:
            yield from _items(each)
    elif isinstance(part, dict):
        for name, value in part.items():
            yield name, value
            yield from _items(value)


def _issues(collection: SigmaCollection) -> list[str]:
    validator = SigmaValidator([kind for name, kind in validators.items() if name not in ONLINE])
    rules: list[Any] = collection.rules  # pySigma validates rules that count, and says otherwise
    return [str(issue) for issue in validator.validate_rules(iter(rules))]


def test_pysigma_has_nothing_to_say_against_the_rules() -> None:
    collection = SigmaCollection.load_ruleset([FOLDER])

    assert collection.errors == []
    assert _issues(collection) == []


def test_pysigma_would_say_something_against_one_rule_twice() -> None:
    twice = "---\n".join([RULES["keyturn_key_shared"].read_text(encoding="utf-8")] * 2)

    assert _issues(SigmaCollection.from_yaml(twice)) != []


def test_rules_ask_for_events_that_exist() -> None:
    asked = {name for rule in RULES for name in _values(rule, "event")}

    assert asked - EVENT_NAMES == set()


def test_every_event_for_security_has_a_rule() -> None:
    asked = {name for rule in RULES for name in _values(rule, "event")}

    assert SECURITY_NAMES - asked == set()


@FORM
@RULE
def test_a_rule_fires_on_its_attack(rule: str, form: Form) -> None:
    assert count(rule, form, recorded(rule)) > 0


@FORM
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in COUNTING])
def test_a_rule_fires_on_every_line_of_its_attack(rule: str, form: Form) -> None:
    lines = recorded(rule)

    assert [count(rule, form, [line]) for line in lines] == [1] * len(lines)


@FORM
@pytest.mark.parametrize("rule", COUNTING)
def test_a_rule_that_counts_does_not_fire_on_fewer(rule: str, form: Form) -> None:
    assert count(rule, form, recorded(rule)[1:]) == 0


@FORM
@pytest.mark.parametrize("log", ["keyturn", "vault"])
def test_no_rule_fires_on_ordinary_use(log: str, form: Form) -> None:
    assert firing(log, form, recorded(f"ordinary_{log}")) == set()


def test_every_file_of_events_belongs_to_a_rule() -> None:
    names = {path.stem for path in EVENTS.glob("*.jsonl")}

    assert names == {*RULES, "ordinary_keyturn", "ordinary_vault"}


def test_the_page_lists_the_rules_as_they_are() -> None:
    listed = {
        (code_words(rule)[0], log, level)
        for rule, log, level, *_ in table_rows("docs/siem.md", "Sigma rules", "rule")
    }

    assert listed == {
        (
            rule.removeprefix("keyturn_"),
            {"keyturn": "services", "vault": "Vault"}[product(rule)],
            documents(rule)[-1]["level"],
        )
        for rule in RULES
    }
