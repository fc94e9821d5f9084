"""`keyturn audit key`: everything that touched one key."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from keyturn_cli.audit.deployment import Deployment
from keyturn_cli.audit.finding_kind import Severity
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.key_event import KeyEvent
from keyturn_cli.audit.key_history import KeyHistory
from keyturn_cli.audit.log_walk import LogWalk
from keyturn_cli.commands.audit.deployment_options import deployment_options, verify_options
from keyturn_cli.commands.audit.given_logs import (
    intake_of,
    logs_options,
    shown_progress,
    span_of,
    span_options,
    whole_name_of,
)
from keyturn_cli.commands.audit.verify_views import (
    finding_document,
    iso_time,
    print_finding,
    print_unread,
)
from keyturn_cli.commands.command_line import examples, json_option
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.printing import one_line, print_json, print_table


@click.command(
    "key",
    epilog=examples(
        "keyturn audit key users/alice/keys/openai vault-logs",
        "keyturn audit key users/alice/keys/openai vault-logs --since 2027-01-31 --all",
    ),
)
@click.argument("name")
@logs_options
@span_options
@click.option("--all", "is_whole", is_flag=True, help="Print each use, not one row an hour.")
@json_option
@deployment_options
def key_command(
    name: str,
    *,
    vault_logs: tuple[Path, ...],
    service_logs: tuple[Path, ...],
    since: str | None,
    until: str | None,
    is_whole: bool,
    as_json: bool,
    **deployment: Any,  # noqa: ANN401 - the options of `deployment_options`, each of its type
) -> None:
    """Print from Vault's audit LOGs everything that touched the key NAME, in order.

    NAME is whole: users/alice/keys/openai. Uses by one app, and other daily business, are one row
    an hour. The key service's log adds who called, why an app was refused, and what became of
    verifications. What `keyturn audit verify` finds of the key comes last.

    A LOG is a file, plain or gzipped, a folder of rotated ones, or - for standard input. Without
    one: KEYTURN_VAULT_AUDIT_LOG. Exit code 7 for findings, 4 when nothing touched the key, 2 when
    a log could not be read whole.
    """
    history = KeyHistory(
        whole_name_of(name),
        Deployment(verify_options(deployment)),
        span_of(since, until),
        is_whole=is_whole,
    )
    intake = intake_of(vault_logs, service_logs)
    with closing(intake):
        walk = LogWalk(intake)
        with shown_progress(intake) as on_lines:
            walk.feed(history.see_vault, history.see_service, on_lines)
    events = history.finish()
    unread = intake.unread()
    if as_json:
        document = _document(name, history, events)
        document["bad_vault_line_count"] = walk.bad_vault_line_count
        document["unread"] = [{"log": log.name, "reason": log.reason} for log in unread]
        print_json(document)
    else:
        _print_events(name, events)
        _print_findings(history.findings)
    if walk.bad_vault_line_count:
        click.echo(
            f"{walk.bad_vault_line_count:,} lines of Vault's audit logs cannot be read and were "
            "skipped: evidence may be missing.",
            err=True,
        )
    if history.left_out_count:
        click.echo(
            f"{history.left_out_count:,} more are not told: choose by --since and --until.",
            err=True,
        )
    print_unread(unread)
    if code := _exit_code(history.findings, has_events=bool(events), is_whole=not unread):
        click.get_current_context().exit(code)


def _exit_code(findings: Sequence[Finding], *, has_events: bool, is_whole: bool) -> ExitCode | None:
    if any(finding.kind.severity is Severity.FINDING for finding in findings):
        return ExitCode.PROBLEMS_FOUND
    if not is_whole:
        return ExitCode.USAGE
    return None if has_events else ExitCode.CONFLICT


def _print_events(name: str, events: Sequence[KeyEvent]) -> None:
    if not events:
        click.echo(f"Nothing touched {one_line(name)}, by these logs.", err=True)
        return
    columns = ["time", "what", "who", "app", "count", "last", "outcome", "call"]
    print_table(columns, [_row(event) for event in events], numbers={"count"})


def _row(event: KeyEvent) -> list[str]:
    last = iso_time(event.last_us)[len("2027-01-31T") :] if event.count > 1 else ""
    told = [iso_time(event.time_us), event.what, event.who, event.app]
    return [*told, f"{event.count:,}", last, event.outcome, event.cause]


def _print_findings(findings: Sequence[Finding]) -> None:
    for finding in findings:
        click.echo()
        print_finding(finding)


def _document(name: str, history: KeyHistory, events: Sequence[KeyEvent]) -> dict[str, Any]:
    return {
        "key": name,
        "events": [
            {
                "time": iso_time(event.time_us),
                "last_time": iso_time(event.last_us),
                "what": event.what,
                "who": event.who,
                "app": event.app,
                "outcome": event.outcome,
                "call": event.cause,
                "count": event.count,
                "request_id": event.request_id,
                "source": event.source,
            }
            for event in events
        ],
        "findings": [finding_document(finding) for finding in history.findings],
        "left_out_count": history.left_out_count,
    }
