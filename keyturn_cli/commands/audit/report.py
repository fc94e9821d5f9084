"""`keyturn audit report`: who used which key, and when."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

from keyturn_cli.audit.deployment import Deployment
from keyturn_cli.audit.log_walk import LogWalk
from keyturn_cli.audit.report import Dimension, ReportFilter, UsageReport
from keyturn_cli.commands.audit.deployment_options import names_of, naming_options
from keyturn_cli.commands.audit.given_logs import (
    intake_of,
    logs_options,
    shown_progress,
    span_of,
    span_options,
    whole_name_of,
)
from keyturn_cli.commands.audit.report_views import (
    print_report,
    report_csv,
    report_document,
    warnings_of,
)
from keyturn_cli.commands.audit.verify_views import print_unread
from keyturn_cli.commands.command_line import examples, json_option
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.printing import print_json
from keyturn_cli.resource_names import owner_name

_BY: Final = (Dimension.OWNER, Dimension.KEY, Dimension.APP, Dimension.DAY)


@click.command(
    "report",
    epilog=examples(
        "keyturn audit report vault-logs --service-log service-logs",
        "keyturn audit report vault-logs --by app,hour --key users/alice/keys/openai",
        "keyturn audit report vault-logs --since 2027-01-01 --until 2027-01-31 --csv",
    ),
)
@logs_options
@click.option(
    "--by",
    default=",".join(_BY),
    show_default=True,
    metavar="WORDS",
    help=f"What a row is of, in its order: of {', '.join(Dimension)}. Times are in UTC.",
)
@click.option("--owner", "owners", multiple=True, help="Of this owner only. Repeatable.")
@click.option("--key", "keys", multiple=True, help="Of this key only, by its name. Repeatable.")
@click.option("--app", "apps", multiple=True, help="By this app only: a SPIFFE ID. Repeatable.")
@span_options
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
@naming_options
def report_command(  # noqa: PLR0913 - one argument per option, as click hands them over
    *,
    vault_logs: tuple[Path, ...],
    service_logs: tuple[Path, ...],
    by: str,
    owners: tuple[str, ...],
    keys: tuple[str, ...],
    apps: tuple[str, ...],
    since: str | None,
    until: str | None,
    as_json: bool,
    as_csv: bool,
    **deployment: Any,  # noqa: ANN401 - the options of `naming_options`, each of its type
) -> None:
    """Sum up from Vault's audit LOGs who used which key, and when.

    An opening is a decrypt; a refusal, a lease whose key was not opened. Verifications are uses by
    the gateway itself. The key service's log adds tokens, USD, models and reasons of refusals.

    A LOG is a file, plain or gzipped, a folder of rotated ones, or - for standard input. Without
    one: KEYTURN_VAULT_AUDIT_LOG. Exit code 2 when a log could not be read whole.
    """
    if as_json and as_csv:
        raise click.UsageError("Give --json or --csv, not both.")
    chosen = ReportFilter(
        frozenset(owner_name(owner, None) for owner in owners),
        frozenset(whole_name_of(key) for key in keys),
        frozenset(apps),
        span_of(since, until),
    )
    report = UsageReport(Deployment(names_of(deployment)), _dimensions(by), chosen)
    intake = intake_of(vault_logs, service_logs)
    with closing(intake):
        walk = LogWalk(intake)
        with shown_progress(intake) as on_lines:
            walk.feed(report.see_vault, report.see_service, on_lines)
    report.finish()
    unread = intake.unread()
    if as_json:
        print_json(report_document(report, unread, walk.bad_vault_line_count))
    elif as_csv:
        click.echo(report_csv(report), nl=False)
    elif report.rows:
        print_report(report)
    else:
        click.echo("No key was used, by these logs.", err=True)
    for warning in warnings_of(report, walk.bad_vault_line_count):
        click.echo(warning, err=True)
    print_unread(unread)
    if unread:
        click.get_current_context().exit(ExitCode.USAGE)


def _dimensions(typed: str) -> tuple[Dimension, ...]:
    """Return what *typed* names.

    Raises:
        click.BadParameter: It names something else, or one thing twice.
    """
    words = [word.strip() for word in typed.split(",")]
    known = [dimension.value for dimension in Dimension]
    if not set(words) <= set(known) or len(set(words)) < len(words):
        raise click.BadParameter(
            f"must be some of {', '.join(known)}, each once, with commas between",
            param_hint="--by",
        )
    return tuple(Dimension(word) for word in words)
