"""The logs that commands of `keyturn audit` are given, and the time that they are asked about."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from keyturn_cli.audit.log_files import STANDARD_INPUT
from keyturn_cli.audit.log_intake import LogIntake
from keyturn_cli.audit.log_search import LogSearch
from keyturn_cli.audit.progress import ProgressBar
from keyturn_cli.audit.time_span import TimeSpan, parse_span
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from svc_runtime.clock import SystemClock

LOG_TYPE: Final = click.Path(exists=True, allow_dash=True, path_type=Path)

_Command = TypeVar("_Command", bound=Callable[..., Any])


def logs_options(command: _Command) -> _Command:
    """Give *command* the arguments `vault_logs`, and the option `service_logs`."""
    command = click.option(
        "--service-log",
        "service_logs",
        type=LOG_TYPE,
        multiple=True,
        help="A service's log, or a folder of them. Repeatable.",
    )(command)
    return click.argument("vault_logs", metavar="[LOG]...", nargs=-1, type=LOG_TYPE)(command)


def span_options(command: _Command) -> _Command:
    """Give *command* the options `since` and `until`."""
    command = click.option(
        "--until", metavar="TIME", help="What is before it only; a day, with all of it."
    )(command)
    return click.option(
        "--since", metavar="TIME", help="What is since then only: 2027-01-31 or 2027-01-31T09:00Z."
    )(command)


def span_of(since: str | None, until: str | None) -> TimeSpan:
    """Return the span from *since* to *until*.

    Raises:
        click.BadParameter: They mean none.
    """
    try:
        return parse_span(since, until)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since/--until") from error


def whole_name_of(key: str) -> str:
    """Return *key* if it is the whole name of a key: logs know no other.

    Raises:
        click.UsageError: It is none.
    """
    kind, _, rest = key.partition("/")
    if kind not in {"users", "teams"} or "/keys/" not in rest:
        raise click.UsageError("Name a key whole: users/alice/keys/openai.")
    return key


def intake_of(vault_logs: Sequence[Path], service_logs: Sequence[Path]) -> LogIntake:
    """Return the intake of these logs, started; without *vault_logs* of the local stack's.

    Raises:
        CommandError: There is no log.
        click.UsageError: Standard input is given more than once.
    """
    intake = LogIntake(search_of(vault_logs, service_logs), SystemClock())
    intake.start()
    return intake


@contextmanager
def shown_progress(intake: LogIntake) -> Iterator[Callable[[], None]]:
    """Show who watches how far the logs of *intake* are read; enter with what is to be called."""
    with ProgressBar(intake, SystemClock(), is_shown=sys.stderr.isatty()) as bar:
        yield bar.update


def search_of(vault_logs: Sequence[Path], service_logs: Sequence[Path]) -> LogSearch:
    """Return the search for these logs; without any, for all of the local stack.

    Raises:
        CommandError: There is no log.
        click.UsageError: Standard input is given more than once.
    """
    refuse_two_streams((*vault_logs, *service_logs))
    if vault_logs:
        return LogSearch(vault_logs, service_logs)
    vault_log = default_vault_log()
    return LogSearch((vault_log,), service_logs or _logs_beside(vault_log))


def refuse_two_streams(logs: Sequence[Path]) -> None:
    """See that standard input is at most one of *logs*.

    Raises:
        click.UsageError: It is several.
    """
    if sum(str(log) == STANDARD_INPUT for log in logs) > 1:
        raise click.UsageError("Standard input can be one log only.")


def default_service_logs() -> list[Path]:
    """Return the logs of the local stack's services, as far as there are any."""
    return sorted(ClientSettings.load().logs_dir.glob("*-svc*.log"))


def default_vault_log() -> Path:
    """Return Vault's audit log of the local stack.

    Raises:
        CommandError: There is none.
    """
    path = Path(ClientSettings.load().require("KEYTURN_VAULT_AUDIT_LOG"))
    if not path.exists():
        raise CommandError(
            f"KEYTURN_VAULT_AUDIT_LOG names {path}, which is not there.",
            ExitCode.USAGE,
            hint="Name a log, or start the local stack (`keyturn local up`).",
        )
    return path


def _logs_beside(vault_log: Path) -> list[Path]:
    """Return the services' logs of the stack whose Vault wrote *vault_log*; none of another's."""
    stack = ClientSettings.load().env_file.parent.absolute()
    return default_service_logs() if vault_log.is_relative_to(stack) else []
