"""`keyturn`: the command of owners, operators and auditors, and of the local stack."""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import Final

import click

from keyturn_cli.client_settings import silence_grpc
from keyturn_cli.commands.lazy_group import LazyCommand, LazyGroup
from keyturn_cli.exit_codes import ExitCode, epilog

_COMMANDS: Final = {
    "login": LazyCommand(
        "keyturn_cli.commands.login:login_command", "Log in as yourself, whatever your role."
    ),
    "logout": LazyCommand("keyturn_cli.commands.login:logout_command", "Forget the login."),
    "keys": LazyCommand(
        "keyturn_cli.commands.keys:keys_group", "Give keys into custody, rotate, destroy them."
    ),
    "grants": LazyCommand(
        "keyturn_cli.commands.grants:grants_group", "Let apps use a key, and withdraw that."
    ),
    "requests": LazyCommand(
        "keyturn_cli.commands.requests:requests_group", "Ask an owner for a grant, and decide."
    ),
    "usage": LazyCommand(
        "keyturn_cli.commands.usage:usage_command", "Show what was used, and what limits leave."
    ),
    "owner": LazyCommand(
        "keyturn_cli.commands.owner:owner_group", "Export or erase all that is held on an owner."
    ),
    "operator": LazyCommand(
        "keyturn_cli.commands.operator:operator_group", "Stop a key, an owner, an app, everything."
    ),
    "chat": LazyCommand("keyturn_cli.commands.chat:chat_command", "Ask a model, as an app."),
    "audit": LazyCommand(
        "keyturn_cli.commands.audit:audit_group", "Read from the logs who used which key."
    ),
    "doctor": LazyCommand(
        "keyturn_cli.commands.doctor:doctor_command", "Find out what is wrong, and how to mend it."
    ),
    "local": LazyCommand(
        "keyturn_cli.local.commands:local_group", "Run the whole of Keyturn on this machine."
    ),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    epilog=epilog(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="keyturn", prog_name="keyturn")
def keyturn() -> None:
    """Let apps call OpenAI with keys that nobody can take.

    Settings come from the environment; where a variable is unset, from the file that
    KEYTURN_CLIENT_ENV names, or else from .keyturn/client.env of the local stack.
    """


def main() -> None:
    """Run the command and end the process with an `ExitCode`."""
    silence_grpc()
    try:
        outcome = keyturn.main(prog_name="keyturn", standalone_mode=False)
        code = outcome if isinstance(outcome, int) else ExitCode.OK
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; close it so that the interpreter does not complain.
        sys.stderr.close()
        code = ExitCode.OK
    except Exception as error:  # noqa: BLE001 - the last place: type and place only, no text
        code = _report_fault(error)
    sys.exit(code)


def _report_fault(error: Exception) -> ExitCode:
    """Tell of a defect by type and place; the text of a foreign error may hold anything."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = ""
    if frame is not None:
        name = PurePath(frame.tb_frame.f_code.co_filename)
        place = f" at {'/'.join(name.parts[-2:])}:{frame.tb_lineno}"
    click.echo(f"error: internal fault: {type(error).__name__}{place}", err=True)
    click.echo("  This is a defect of Keyturn; please report it with this line.", err=True)
    return ExitCode.FAULT


if __name__ == "__main__":
    main()
