"""What the documents point at exists."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.source_tree import ROOT, files, relative

DOCUMENTS = files("*.md")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_MAKE = re.compile(r"(?:^|`|&&)[ $]*make ([a-z][a-z-]*)", re.MULTILINE)


def _anchors(document: Path) -> set[str]:
    """Return the anchors that a heading line gets when the page is shown as HTML."""
    text = _FENCED.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def _links(document: Path) -> list[str]:
    prose = _CODE.sub("", _FENCED.sub("", document.read_text(encoding="utf-8")))
    targets = [inline or reference for inline, reference in _LINK.findall(prose)]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def _leads_nowhere(document: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    page = (document.parent / path).resolve() if path else document
    if not page.exists():
        return True
    return bool(anchor) and page.suffix == ".md" and anchor not in _anchors(page)


def _named_targets(document: Path) -> set[str]:
    text = document.read_text(encoding="utf-8")
    code = [*_FENCED.findall(text), *_CODE.findall(_FENCED.sub("", text))]
    return {target for snippet in code for target in _MAKE.findall(snippet)}


def _make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


def test_every_relative_link_leads_somewhere() -> None:
    dead = [
        f"{relative(document)}: {target}"
        for document in DOCUMENTS
        for target in _links(document)
        if _leads_nowhere(document, target)
    ]

    assert dead == []


def test_every_make_target_that_a_document_names_exists() -> None:
    unknown = [
        f"{relative(document)}: make {target}"
        for document in DOCUMENTS
        for target in _named_targets(document) - _make_targets()
    ]

    assert unknown == []


def test_every_make_target_is_explained_by_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    explained = set(re.findall(r"^([a-z][a-z-]*):.* ## \S", makefile, re.MULTILINE))

    assert explained == _make_targets()
