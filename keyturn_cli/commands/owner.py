"""`keyturn owner`: all that is held on an owner."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import click

from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import (
    OwnerSession,
    examples,
    json_option,
    require_terminal,
    timeout_option,
)
from keyturn_cli.commands.key_verification import say
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.owner_views import (
    ExportDocument,
    erasure_document,
    erasure_lines,
    export_document,
)
from keyturn_cli.printing import one_line, print_json
from keyturn_cli.resource_names import owner_name

_TIMEOUT_SECONDS: Final = 60.0  # the longest that the key service takes; there may be 100 keys


@click.group("owner")
def owner_group() -> None:
    """Export or erase all that is held on an owner.

    OWNER is yourself, a user, or teams/<team>. You can act for yourself and for your teams only;
    operators can for everybody.
    """


@owner_group.command(
    "export",
    epilog=examples(
        "keyturn owner export --output mine.json", "keyturn owner export teams/payments"
    ),
)
@click.argument("owner", required=False)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A new file to write to, which only you can read. Without it: standard output.",
)
@timeout_option(_TIMEOUT_SECONDS)
def export(owner: str | None, output: Path | None, *, timeout_seconds: float) -> None:
    """Write all that is held on OWNER as JSON.

    Keys with their records, all grants, requests for grants, limits, and what is kept elsewhere
    until when. No API key is in it. `keyturn usage OWNER --json` tells the usage.
    """
    session = OwnerSession()
    name = owner_name(owner, session.person)
    answer = session.call(timeout_seconds, lambda api: api.export_owner(name))
    document = export_document(answer, session.now)
    if output is None:
        print_json(document)
    else:
        _write_private(output, document)
        say(f"Wrote what is held on {name} to {output}. No API key is in it.")


@owner_group.command(
    "erase",
    epilog=examples("keyturn owner erase", "keyturn owner erase teams/payments --yes --json"),
)
@click.argument("owner", required=False)
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@json_option
@timeout_option(_TIMEOUT_SECONDS)
def erase(owner: str | None, *, is_confirmed: bool, as_json: bool, timeout_seconds: float) -> None:
    """Destroy every key of OWNER, forget the usage, and tell what stays where. There is no undo.

    What operators have suspended or limited stays so, unless an operator erases.
    """
    session = OwnerSession()
    name = owner_name(owner, session.person)
    if not is_confirmed:
        _confirm(name)
    erasure = session.call(timeout_seconds, lambda api: api.erase_owner(name))
    if as_json:
        print_json(erasure_document(erasure))
        return
    for line in erasure_lines(erasure):
        click.echo(one_line(line))
    if erasure.proofs:
        say("The keys stay valid at OpenAI: revoke them there.")


def _confirm(name: str) -> None:
    """Have the owner's name typed.

    Raises:
        CommandError: It was not, or there is no terminal.
    """
    require_terminal("Erasing")
    say(f"This destroys every key of {name}, with all grants and the usage. There is no undo.")
    typed: str = click.prompt(f"Type {name} to go on", default="", show_default=False, err=True)
    if typed != name:
        raise CommandError("Nothing was erased.", ExitCode.USAGE)


def _write_private(path: Path, document: ExportDocument) -> None:
    """Write *document* to a new file of mode 0600.

    Raises:
        CommandError: There is such a file, or it cannot be written.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise CommandError(
            f"{path} exists already.", ExitCode.USAGE, hint="Choose another --output."
        ) from error
    except OSError as error:
        raise CommandError(f"{path} cannot be written.", ExitCode.USAGE) from error
