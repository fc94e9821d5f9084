from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from keyturn_cli.__main__ import keyturn
from keyturn_cli.commands.command_line import examples

_FOLDERS_OF_EXAMPLES = ("vault-logs", "service-logs")
_FILES_OF_EXAMPLES = ("keyvault_svc.toml", "admin-token")


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each command below *group* that is no group itself."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = list(_commands(keyturn))


def _command(path: tuple[str, ...]) -> click.Command:
    command: click.Command = keyturn
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_each_command_has_examples_that_are_accepted(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in _FOLDERS_OF_EXAMPLES:
        (tmp_path / folder).mkdir()
    for file in _FILES_OF_EXAMPLES:
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    command = _command(path)
    told = (command.epilog or "").replace("\\\n", "").partition("Examples:\n")[2].splitlines()

    typed = [shlex.split(line.rpartition("| ")[2]) for line in told]
    depth = 1 + len(path)
    assert typed
    assert {tuple(words[:depth]) for words in typed} == {("keyturn", *path)}
    for words in typed:
        command.make_context(path[-1], words[depth:])  # raises for what it does not accept


def test_the_help_names_all_jobs_whose_lines_the_maintenance_role_explains() -> None:
    (option,) = (o for o in _command(("audit", "verify")).params if o.name == "maintenance_role")

    assert isinstance(option, click.Option)
    assert {"rewrap", "remind", "coverage"} <= set(re.findall(r"\w+", option.help or ""))


def test_examples_keep_their_lines() -> None:
    command = click.Command("try", epilog=examples("try one", "try two"))

    told = command.get_help(click.Context(command))

    assert told.splitlines()[-3:] == ["  Examples:", "    try one", "    try two"]
