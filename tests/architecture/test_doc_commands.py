"""Commands that the documents tell people to type are commands that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from gateway_svc.__main__ import main as gateway_main
from keyturn_cli.__main__ import keyturn
from keyvault_svc.command_line import make_parser
from tests.architecture.source_tree import files, relative

DOCUMENTS = files("*.md")
_BLOCK = re.compile(r"^[ ]*```[^\n]*\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
# What may stand before the command: a prompt, the folder of programs, where it is to run.
_BEFORE = r"(?:\$ )?(?:kubectl [^|;&\n]*? -- )?(?:\S*/)?"
_COMMAND = re.compile(rf"^{_BEFORE}((?:keyturn|keyvault-svc|gateway-svc) +[a-z].*)$")
# Where the shell's own words begin.
_REST = re.compile(r"\s(?:[|;&]|[0-9]?>|#|<).*$|[;&|].*$")
# How argparse says that something was left out, which prose may do and a command may not.
_LEFT_OUT = re.compile(r"arguments? .*required|required: ")


@dataclass(frozen=True)
class Told:
    """One command line of a document.

    Attributes:
        place: The document.
        is_whole: Whether it is to be typed as it is, and no mention in prose.
    """

    place: str
    words: tuple[str, ...]
    is_whole: bool


def _told() -> Iterator[Told]:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        place = relative(document)
        for block in _BLOCK.findall(text):
            yield from _commands(place, block, is_whole=True)
        prose = _BLOCK.sub("", text)
        for span in _SPAN.findall(prose):
            yield from _commands(place, span, is_whole=False)


def _commands(place: str, text: str, *, is_whole: bool) -> Iterator[Told]:
    for line in text.replace("\\\n", " ").splitlines():
        match = _COMMAND.match(line.strip())
        if match is None:
            continue
        words = tuple(shlex.split(_REST.sub("", match[1])))
        if "..." not in words:
            yield Told(place, words, is_whole)


def _fault_of_keyturn(told: Told) -> str | None:
    """Return what `keyturn` would say against the words of *told*; None if nothing."""
    command: click.Command = keyturn
    context = click.Context(keyturn, info_name="keyturn")
    words = list(told.words[1:])
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    if isinstance(command, click.Group):
        return "names no command of the group" if told.is_whole else None
    try:
        command.make_context(command.name, words, parent=context.parent)
    except (click.MissingParameter, click.BadOptionUsage) as error:
        return error.format_message() if told.is_whole else None
    except click.BadParameter as error:
        is_file = error.param is not None and isinstance(error.param.type, click.Path | click.File)
        return None if is_file else error.format_message()
    except click.UsageError as error:
        return error.format_message()
    return None


def _fault_of_service(told: Told, printed: pytest.CaptureFixture[str]) -> str | None:
    """Return what the service's program would say against the words of *told*."""
    printed.readouterr()
    program, *words = told.words
    try:
        if program == "keyvault-svc":
            make_parser().parse_args(words)
        else:
            gateway_main(words)  # ends at once: the settings that it is given do not exist
    except SystemExit as end:
        said = printed.readouterr().err
        if end.code and (told.is_whole or not _LEFT_OUT.search(said)):
            return said.splitlines()[-1]
    return None


def _is_of_keyturn(told: Told) -> bool:
    return told.words[0] == "keyturn"


def test_documents_tell_commands_of_each_program() -> None:
    assert {told.words[0] for told in _told()} == {"keyturn", "keyvault-svc", "gateway-svc"}


def test_every_keyturn_command_of_a_document_parses() -> None:
    faults = [
        f"{told.place}: {shlex.join(told.words)}: {fault}"
        for told in _told()
        if _is_of_keyturn(told) and (fault := _fault_of_keyturn(told))
    ]

    assert faults == []


def test_every_command_of_a_service_that_a_document_names_parses(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    faults = [
        f"{told.place}: {shlex.join(told.words)}: {fault}"
        for told in _told()
        if not _is_of_keyturn(told) and (fault := _fault_of_service(told, capsys))
    ]

    assert faults == []


@pytest.mark.parametrize(
    "line",
    [
        "keyturn keys stop openai",
        "keyturn keys rotate openai --overlapp 0",
        "keyturn operator suspend users/alice",
        "keyturn keys",
        "keyturn usage --by colour",
    ],
)
def test_a_command_that_there_is_not_is_noticed(line: str) -> None:
    (told,) = _commands("page", line, is_whole=True)

    assert _fault_of_keyturn(told)


@pytest.mark.parametrize(
    "line",
    ["keyvault-svc renew --config x", "keyvault-svc rewrap", "gateway-svc serve --conf=x --fast"],
)
def test_a_command_that_a_service_does_not_have_is_noticed(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (told,) = _commands("page", line, is_whole=True)

    assert _fault_of_service(told, capsys)


def test_commands_are_found_behind_prompts_folders_and_kubectl() -> None:
    text = (
        "$ .venv/bin/keyturn keys list | head\n"
        "kubectl -n keyturn exec deploy/a -- keyvault-svc serve --config \\\n  x.toml  # why\n"
        "keyturn  v1"
    )

    assert [told.words for told in _commands("page", text, is_whole=True)] == [
        ("keyturn", "keys", "list"),
        ("keyvault-svc", "serve", "--config", "x.toml"),
        ("keyturn", "v1"),
    ]
