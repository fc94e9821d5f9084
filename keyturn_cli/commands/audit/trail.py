"""`keyturn audit trail`: who used which key in one request, by the logs."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Final

import click

from keyturn_cli.audit.log_files import LogKind
from keyturn_cli.audit.log_objects import LogObjects
from keyturn_cli.audit.log_search import LogSearch
from keyturn_cli.audit_steps import AuditStep
from keyturn_cli.audit_trail import AuditTrail, AuditTrailBuilder, VerdictKind
from keyturn_cli.commands.audit.given_logs import (
    LOG_TYPE,
    default_service_logs,
    default_vault_log,
    refuse_two_streams,
)
from keyturn_cli.commands.audit.verify_views import print_unread
from keyturn_cli.commands.command_line import examples, json_option
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.printing import one_line, print_fields, print_json, print_table

_SHARED: Final = ("app", "key", "lease")  # usually the same in each step, then told once


@click.command(
    "trail",
    epilog=examples("keyturn audit trail 0123456789abcdef0123456789abcdef --json"),
)
@click.argument("request_id")
@click.option(
    "--vault-log",
    "vault_logs",
    type=LOG_TYPE,
    multiple=True,
    help="Vault's audit log, or a folder of rotated ones, plain or gzipped; - for standard input. "
    "Repeatable. Default: KEYTURN_VAULT_AUDIT_LOG.",
)
@click.option(
    "--service-log",
    "service_logs",
    type=LOG_TYPE,
    multiple=True,
    help="A service's log, or a folder of them. Repeatable. Default: logs/*-svc*.log beside "
    "client.env.",
)
@json_option
def trail_command(
    request_id: str,
    *,
    vault_logs: tuple[Path, ...],
    service_logs: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Print the chain of one request: app, gateway, lease, KV read, decrypt, OpenAI.

    Exit code 7 when there is no trace of the request, or when the chain shows what may not happen;
    2 when a log could not be read whole.
    """
    refuse_two_streams((*vault_logs, *service_logs))
    logs = LogObjects(
        LogSearch(vault_logs or (default_vault_log(),), service_logs or default_service_logs())
    )
    builder = AuditTrailBuilder(request_id)
    builder.add_vault_log(logs.read(LogKind.VAULT))
    builder.add_service_log(logs.read(LogKind.SERVICE))
    trail = builder.trail()
    if as_json:
        print_json(_document(request_id, trail))
    else:
        _print_for_people(trail)
    unread = logs.unread()
    print_unread(unread)
    if code := _exit_code(trail.verdict.kind, is_whole=not unread):
        click.get_current_context().exit(code)


def _exit_code(verdict: VerdictKind, *, is_whole: bool) -> ExitCode | None:
    if verdict is VerdictKind.SUSPECT:
        return ExitCode.PROBLEMS_FOUND
    if not is_whole:
        return ExitCode.USAGE
    return ExitCode.PROBLEMS_FOUND if verdict is VerdictKind.NOT_FOUND else None


def _print_for_people(trail: AuditTrail) -> None:
    if trail.steps:
        _print_steps([_row(step) for step in trail.steps])
        click.echo()
    for sentence in trail.verdict.sentences:
        click.echo(one_line(sentence))
    if trail.bad_vault_line_count:
        click.echo(
            f"warning: {trail.bad_vault_line_count} lines of Vault's audit log are no JSON "
            "objects and were skipped: evidence may be missing.",
            err=True,
        )
    if trail.bad_service_line_count:
        click.echo(
            f"note: {trail.bad_service_line_count} lines of service logs are no JSON objects and "
            "were skipped.",
            err=True,
        )


def _print_steps(rows: list[dict[str, str]]) -> None:
    """Print *rows* as a table, and above it what all of them have in common."""
    shared = [name for name in _SHARED if rows[0][name] and len({row[name] for row in rows}) == 1]
    if shared:
        print_fields([(name, rows[0][name]) for name in shared])
        click.echo()
    columns = [name for name in rows[0] if name not in shared]
    print_table(columns, [[row[name] for name in columns] for row in rows])


def _row(step: AuditStep) -> dict[str, str]:
    time = step.time.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]
    return {**_step_document(step), "time": time}


def _document(request_id: str, trail: AuditTrail) -> dict[str, object]:
    return {
        "request_id": request_id,
        "verdict": trail.verdict.kind.value,
        "explanation": list(trail.verdict.sentences),
        "bad_vault_line_count": trail.bad_vault_line_count,
        "bad_service_line_count": trail.bad_service_line_count,
        "steps": [_step_document(step) for step in trail.steps],
    }


def _step_document(step: AuditStep) -> dict[str, str]:
    return {
        "time": step.time.isoformat().replace("+00:00", "Z"),
        "step": step.kind.value,
        "who": step.who,
        "what": step.what,
        "outcome": step.outcome,
        "app": step.app,
        "key": step.key,
        "lease": step.lease,
        "source": step.source.value,
    }
