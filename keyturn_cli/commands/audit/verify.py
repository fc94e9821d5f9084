"""`keyturn audit verify`: what the logs prove of all requests."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import click

from keyturn_cli.audit.checkpoint import CheckpointError, checkpoint_lock, load_checkpoint
from keyturn_cli.audit.finding_kind import Severity
from keyturn_cli.audit.finding_summary import FindingSummary
from keyturn_cli.audit.log_files import UnreadLog
from keyturn_cli.audit.log_intake import LogIntake
from keyturn_cli.audit.progress import ProgressBar, figures_sentence, run_figures
from keyturn_cli.audit.stop_signal import Stop, stop_at_signals
from keyturn_cli.audit.verification import (
    CHECKPOINT_LINES,
    CheckpointFile,
    Reporting,
    Verification,
)
from keyturn_cli.audit.verifier import Verifier
from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.audit.deployment_options import (
    deployment_options,
    verify_options,
    windows_file_of,
)
from keyturn_cli.commands.audit.given_logs import logs_options, search_of
from keyturn_cli.commands.audit.verify_views import (
    print_finding,
    print_json_line,
    print_summary,
    print_unread,
    summary_document,
    verdict,
)
from keyturn_cli.commands.command_line import examples
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.printing import print_json
from svc_runtime.clock import SystemClock

_MOST: Final = 20


@click.command(
    "verify",
    epilog=examples(
        "keyturn audit verify vault-logs --service-log service-logs",
        "keyturn audit verify vault-logs --window 2027-01-31T09:00:00Z/2027-01-31T09:30:00Z",
        "keyturn audit verify vault-logs --checkpoint verified.json --follow --jsonl",
    ),
)
@logs_options
@click.option("--follow", is_flag=True, help="Wait for more lines, until Ctrl-C.")
@click.option(
    "--checkpoint",
    "checkpoint_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Go on where this file says, and write there how far it went.",
)
@click.option(
    "--checkpoint-lines",
    type=click.IntRange(min=1),
    default=CHECKPOINT_LINES,
    show_default=True,
    help="After how many lines the checkpoint is written, besides at the end.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
@click.option("--jsonl", "as_json_lines", is_flag=True, help="Print a line of JSON per finding.")
@click.option(
    "--most",
    type=click.IntRange(min=0),
    default=_MOST,
    show_default=True,
    help="How many findings of each code are printed.",
)
@deployment_options
def verify_command(  # noqa: PLR0913 - one argument per option, as click hands them over
    *,
    vault_logs: tuple[Path, ...],
    service_logs: tuple[Path, ...],
    follow: bool,
    checkpoint_path: Path | None,
    checkpoint_lines: int,
    as_json: bool,
    as_json_lines: bool,
    most: int,
    **deployment: Any,  # noqa: ANN401 - the options of `deployment_options`, each of its type
) -> None:
    """Prove from Vault's audit LOGs that no key was used past the rules.

    A LOG is a file, plain or gzipped, a folder of rotated ones, or - for standard input. All are
    merged by time. Without one: KEYTURN_VAULT_AUDIT_LOG, with the logs of the services if that is
    the local stack's.

    Exit code 0 when nothing was found, 7 for findings, 2 when a log could not be read whole.
    """
    if as_json and (as_json_lines or follow):
        raise click.UsageError("--json prints one document at the end: give --jsonl alone.")
    options = verify_options(deployment)
    clock = SystemClock()
    with _checkpoint_errors(checkpoint_path), ExitStack() as stack:
        file = checkpoint = None
        if checkpoint_path is not None:
            file = CheckpointFile(checkpoint_path, checkpoint_lines)
            stack.enter_context(checkpoint_lock(checkpoint_path))
            checkpoint = load_checkpoint(checkpoint_path)
        search = search_of(vault_logs, service_logs)
        positions = checkpoint.positions if checkpoint else ()
        intake = stack.enter_context(closing(LogIntake(search, clock, positions, follows=follow)))
        intake.start()
        summary = FindingSummary(most)
        on_finding = print_json_line if as_json_lines else print_finding if follow else None
        bar = ProgressBar(intake, clock, is_shown=sys.stderr.isatty() and not follow)
        reporting = Reporting(on_finding, lambda: bar.update(summary.counts.total()))
        verification = Verification(intake, Verifier(options), summary, reporting, clock, file)
        if checkpoint is not None:
            verification.restore(checkpoint)
        begin = clock.monotonic()
        with bar, stop_at_signals() as stop:
            is_whole = _run(verification, stop, follow=follow)
        figures = run_figures(intake, clock.monotonic() - begin)
        unread = intake.unread()
        sentence = verdict(summary, unread, is_whole=is_whole)
        if as_json:
            print_json(summary_document(summary, unread, sentence, figures))
        elif on_finding is None:
            print_summary(summary)
        print_unread(unread)
        click.echo(sentence, err=as_json or as_json_lines)
        click.echo(f"{figures_sentence(figures)}.", err=True)
        _print_windows_file(windows_file_of(deployment))
        if is_whole:
            verification.keep_told()
    if code := _exit_code(summary, unread, is_whole=is_whole):
        click.get_current_context().exit(code)


def _run(verification: Verification, stop: Stop, *, follow: bool) -> bool:
    """Return whether all lines were judged."""
    if follow:
        verification.follow(stop)
    elif not verification.run(stop):
        return False
    verification.finish()
    return True


def _exit_code(
    summary: FindingSummary, unread: Sequence[UnreadLog], *, is_whole: bool
) -> ExitCode | None:
    if not is_whole:
        return ExitCode.INTERRUPTED
    if summary.count(Severity.FINDING):
        return ExitCode.PROBLEMS_FOUND
    return ExitCode.USAGE if unread else None


def _print_windows_file(path: Path | None) -> None:
    """Print whose windows counted: the settings may have named them, and they excuse changes."""
    if path is not None:
        click.echo(f"Changes were expected at the times in {path}.", err=True)


@contextmanager
def _checkpoint_errors(path: Path | None) -> Iterator[None]:
    """Tell what is wrong with the checkpoint at *path*, which is left as it is."""
    try:
        yield
    except CheckpointError as error:
        raise CommandError(
            f"The checkpoint {path} cannot be used: {error}.",
            ExitCode.USAGE,
            hint="It was left as it is. Name another file to begin anew.",
        ) from error
