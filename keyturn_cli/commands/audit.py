"""`keyturn audit`: who used which key, by the logs."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Final

import click

from keyturn_cli.audit_steps import AuditStep
from keyturn_cli.audit_trail import AuditTrail, AuditTrailBuilder, VerdictKind
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import examples, json_option
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.log_lines import read_json_lines
from keyturn_cli.printing import one_line, print_fields, print_json, print_table

_SHARED: Final = ("app", "key", "lease")  # usually the same in each step, then told once
_FAILING: Final = frozenset({VerdictKind.NOT_FOUND, VerdictKind.SUSPECT})
_log_type = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("audit")
def audit_group() -> None:
    """Read from Vault's audit log who used which key."""


@audit_group.command(
    "trail",
    epilog=examples("keyturn audit trail 0123456789abcdef0123456789abcdef --json"),
)
@click.argument("request_id")
@click.option(
    "--vault-log",
    "vault_logs",
    type=_log_type,
    multiple=True,
    help="Vault's audit log, plain or .gz. Repeatable. Default: KEYTURN_VAULT_AUDIT_LOG.",
)
@click.option(
    "--service-log",
    "service_logs",
    type=_log_type,
    multiple=True,
    help="A service's log, plain or .gz. Repeatable. Default: logs/*.log beside client.env.",
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

    Exit code 7 when there is no trace of the request, or when the chain shows what may not happen.
    """
    settings = ClientSettings.load()
    builder = AuditTrailBuilder(request_id)
    for path in vault_logs or (_default_vault_log(settings),):
        builder.add_vault_log(read_json_lines(path))
    for path in service_logs or sorted(settings.logs_dir.glob("*.log")):
        builder.add_service_log(read_json_lines(path))
    trail = builder.trail()
    if as_json:
        print_json(_document(request_id, trail))
    else:
        _print_for_people(trail)
    if trail.verdict.kind in _FAILING:
        click.get_current_context().exit(ExitCode.PROBLEMS_FOUND)


def _default_vault_log(settings: ClientSettings) -> Path:
    path = Path(settings.require("KEYTURN_VAULT_AUDIT_LOG"))
    if not path.is_file():
        raise CommandError(
            f"KEYTURN_VAULT_AUDIT_LOG names {path}, which is not a file.",
            ExitCode.USAGE,
            hint="Give --vault-log, or start the local stack (`keyturn local up`).",
        )
    return path


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
