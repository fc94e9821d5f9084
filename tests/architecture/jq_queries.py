"""The jq queries of a document, run as they stand there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jq  # type: ignore[import-not-found]  # it has no types

from tests.architecture.source_tree import ROOT

_BLOCK = re.compile(r"(?P<told>[^\n].*?)\n\n```sh\n(?P<commands>.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^jq .*?(?=^jq |\Z)", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"^([A-Z]+)='(.*)'$", re.MULTILINE)
_USED = re.compile(r'"\$([A-Z_]+)"')


@dataclass(frozen=True)
class Query:
    """One command.

    Attributes:
        told: What the document says before it.
        command: As it is typed.
        variables: Of the shell, as the document sets them.
    """

    told: str
    command: str
    variables: dict[str, str]

    def found_in(self, lines: Iterable[bytes], **variables: str) -> list[Any]:
        """Return what jq itself prints for a log of *lines*; *variables* are the reader's."""
        values = {"A": "the log", **self.variables, **variables}
        typed = _USED.sub(lambda used: shlex.quote(values[used[1]]), self.command)
        words = shlex.split(typed)[1:]
        if "|" in words:
            words = words[: words.index("|")]
        *options, program, log = words
        assert log == values["A"]
        arguments = {}
        is_slurped = False
        while options:
            match options.pop(0):
                case "--arg":
                    name = options.pop(0)
                    arguments[name] = options.pop(0)
                case "-s":
                    is_slurped = True
                case form:
                    assert form in {"-c", "-r"}
        text = b"\n".join(lines).decode()
        compiled = jq.compile(program, args=arguments)
        found: list[Any] = compiled.input_text(text, slurp=is_slurped).all()
        return found


def queries(document: str, heading: str) -> list[Query]:
    """Return the queries below *heading* of *document*, in their order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    section = re.split(rf"^## {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
    variables = dict(_VARIABLE.findall(section))
    return [
        Query(block["told"].rpartition("\n\n")[2], command, variables)
        for block in _BLOCK.finditer(section)
        for command in _COMMAND.findall(block["commands"])
    ]
