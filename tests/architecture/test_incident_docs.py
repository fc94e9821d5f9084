"""Pages about incidents have all their parts, and name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway_svc.log_events import EVENTS as GATEWAY_EVENTS
from keyturn_cli.audit.findings import CATALOGUE
from keyvault_svc.log_events import EVENTS as KEYVAULT_EVENTS
from tests.architecture.label_words import REASONS
from tests.architecture.source_tree import ROOT

FOLDER = ROOT / "docs" / "runbooks" / "incidents"
INDEX = FOLDER / "README.md"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path != INDEX)
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
HEADINGS = [
    "How you notice",
    "First five minutes",
    "What users see",
    "Prove what happened",
    "Recover",
    "Afterwards",
]
WANTED = {
    "audit-device-full",
    "certificate-authority-compromised",
    "gateway-compromised",
    "key-leaked",
    "key-service-compromised",
    "limit-store-lost",
    "openai-down",
    "operator-account-stolen",
    "vault-restored-from-backup",
    "vault-sealed",
}
# Words in capitals that are none of ours: of systems, of shells, of gRPC.
_FOREIGN = {"ENOSPC", "UNAVAILABLE"}


def test_there_is_a_page_for_each_incident() -> None:
    assert {page.stem for page in PAGES} == WANTED


def test_the_list_of_incidents_leads_to_each_page() -> None:
    index = INDEX.read_text(encoding="utf-8")
    listed = re.findall(r"^\| .* \| \[([a-z-]+)\]\(\1\.md\) \|", index, re.MULTILINE)

    assert sorted(listed) == sorted(WANTED)


@EACH
def test_a_page_tells_everything_in_the_order_in_which_it_is_needed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS


@EACH
def test_a_page_says_how_to_prove_what_happened_by_a_command(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    proof = text.partition("## Prove what happened")[2].partition("\n## ")[0]

    assert "keyturn audit " in proof
    assert "```sh" in text.partition("## First five minutes")[2]


@EACH
def test_a_page_names_findings_and_reasons_that_exist(page: Path) -> None:
    named = set(re.findall(r"`([A-Z]{3,}(?:_[A-Z]+)+|[A-Z]{5,})`", page.read_text("utf-8")))
    variables = {word for word in named if word.startswith("KEYTURN_")}

    assert named - variables - _FOREIGN <= REASONS | CATALOGUE.keys()


@EACH
def test_a_page_asks_logs_for_events_that_exist(page: Path) -> None:
    events = {event.name for event in (*GATEWAY_EVENTS, *KEYVAULT_EVENTS)}
    asked = re.findall(r'\.event [!=]= "(\w+)"', page.read_text("utf-8"))

    assert set(asked) <= events
