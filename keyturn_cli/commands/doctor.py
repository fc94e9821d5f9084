"""`keyturn doctor`: what is wrong, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from keyturn_cli.check_result import CheckResult, CheckState
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.commands.command_line import examples, json_option, run, timeout_option
from keyturn_cli.doctor import examine
from keyturn_cli.drift_check import AdminAccess
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.printing import print_json, print_table
from svc_runtime.clock import SystemClock

_ANSWER_SECONDS: Final = 5.0
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_COLUMNS: Final = ("check", "state", "found", "mend")


@click.command(
    "doctor",
    epilog=examples(
        "keyturn doctor",
        "keyturn doctor --json",
        "keyturn doctor --config keyvault_svc.toml --vault-token-file admin-token",
    ),
)
@json_option
@timeout_option(_ANSWER_SECONDS)
@click.option(
    "--config",
    type=_FILE,
    help="The key service's settings, to compare how Vault is set up.  "
    "[default: keyvault_svc.toml beside client.env]",
)
@click.option(
    "--vault-token-file",
    "token_file",
    type=_FILE,
    help="A token that may read Vault's set-up.  [default: that of the local stack]",
)
def doctor_command(
    *, as_json: bool, timeout_seconds: float, config: Path | None, token_file: Path | None
) -> None:
    """Check settings, files, certificates, services, Vault and login.

    It checks what is configured, and says of the rest which variable would turn it on. Changes
    nothing, and notes for `audit verify` when it used the local stack's root token. Exit code 7
    when there is a problem, or nothing is configured.
    """
    access = AdminAccess(config, token_file)
    results = run(examine(ClientSettings.load(), SystemClock(), timeout_seconds, access))
    problem_count = sum(result.state is CheckState.PROBLEM for result in results)
    if as_json:
        print_json(
            {"checks": [result.document() for result in results], "problem_count": problem_count}
        )
    else:
        rows = [[r.name, r.state.value, r.detail, r.mend] for r in results]
        print_table(_COLUMNS, rows)
        click.echo()
        click.echo(_verdict(results, problem_count))
    if problem_count:
        click.get_current_context().exit(ExitCode.PROBLEMS_FOUND)


def _verdict(results: Sequence[CheckResult], problem_count: int) -> str:
    skipped_count = sum(result.state is CheckState.SKIPPED for result in results)
    if problem_count:
        return f"{problem_count} problems found."
    if skipped_count:
        return f"All that was checked is well. {skipped_count} checks were skipped: see above."
    return "All is well."
