"""What the page on clients quotes is what the programs say."""

from __future__ import annotations

import re

from tests.architecture.source_tree import ROOT

# A link to a program, no other link after it, and the lines that it is linked for.
_QUOTE = re.compile(r"\]\(\.\./(examples/[^)]+)\)[^\]]*?:\n\n```\w+\n(.*?)```", re.DOTALL)


def _stripped(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


def test_the_document_quotes_the_programs() -> None:
    document = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    quotes = _QUOTE.findall(document)

    assert len(quotes) == document.count("```") // 2 - 1  # the first is how to start a program
    for program, quote in quotes:
        assert _stripped(quote) in _stripped((ROOT / program).read_text(encoding="utf-8"))
