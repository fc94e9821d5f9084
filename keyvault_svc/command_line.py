"""The key service's command line."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from pathlib import Path
from typing import Final

from keyvault_svc.bootstrap_command import EmitFormat
from keyvault_svc.health_command import DEFAULT_WAIT_SECONDS
from keyvault_svc.remind_command import DEFAULT_WITHIN_DAYS
from keyvault_svc.rewrap_command import DEFAULT_RATE
from svc_runtime.health_check import HealthQuestion

_MAX: Final = 100_000
_DURATION: Final = re.compile(r"([1-9][0-9]{0,3})([dh])")
_RECORDS: Final = "records to look at each second, at most (default: %(default)s)"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of `serve` and of the jobs."""
    parser = argparse.ArgumentParser(
        prog="keyvault-svc", description="Keeps owners' OpenAI keys, and leases them to gateways."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="serve owners and gateways until SIGTERM")
    preparing = commands.add_parser(
        "bootstrap",
        help="set up Vault for Keyturn, with a token of [bootstrap_login] unless one is given; "
        "running it again changes nothing",
        epilog="Exit codes: 0 all is set up, 1 a step failed, 2 bad settings, "
        "3 something is missing or differs (with --dry-run), or must be done by hand.",
    )
    rewrapping = commands.add_parser(
        "rewrap",
        help="move every record to a new version of the transit key; may be killed and run again",
        epilog="Exit codes: 0 done, 1 not done (the message says why; run it again), "
        "2 bad settings.",
    )
    reminding = commands.add_parser(
        "remind",
        help="tell owners of keys that are due, and of keys and grants that end; for a daily job",
        epilog="Exit codes: 0 every receiver took what it wants, 1 not so (the log says what was "
        "lost), or not done (the message says why; run it again), 2 bad settings.",
    )
    covering = commands.add_parser(
        "coverage",
        help="tell which keys cannot be compared with what OpenAI counted: those without their id",
        epilog="Exit codes: 0 all can, 1 not done, or records cannot be read, 2 bad settings, "
        "3 some cannot.",
    )
    checking = commands.add_parser(
        "check-settings", help="say what is wrong with a settings file, and end; ask nobody"
    )
    asking = commands.add_parser(
        "check-health",
        help="ask processes of either service on their health ports, as a probe does",
        epilog="Exit codes: 0 all serve, 1 one does not.",
    )
    asking.add_argument(
        "questions",
        type=_question,
        nargs="+",
        metavar="HOST:PORT[/SERVICE]",
        help="a health port, and a gRPC service for whether it may get traffic; "
        "without one, whether the process is alive",
    )
    asking.add_argument(
        "--wait",
        type=_positive,
        default=DEFAULT_WAIT_SECONDS,
        metavar="SECONDS",
        help="how long to wait until all serve (default: %(default)s)",
    )
    for command in (serving, preparing, rewrapping, reminding, covering, checking):
        command.add_argument("--config", type=Path, required=True, help="settings file, TOML")
    way = preparing.add_mutually_exclusive_group()
    way.add_argument("--token-file", type=Path, help="file that holds an administrator's token")
    way.add_argument(
        "--emit",
        type=EmitFormat,
        choices=list(EmitFormat),
        help="print the set-up as a script of bao or vault commands, or as Terraform; ask nobody",
    )
    preparing.add_argument("--dry-run", action="store_true", help="change nothing, report drift")
    preparing.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long to try again while Vault cannot be reached, is sealed or has no leader "
        "(default: not at all)",
    )
    preparing.add_argument(
        "--accept-manual",
        action="store_true",
        help="end with 0 where nothing is left but what must be done by hand; it is still told",
    )
    for command in (preparing, covering):
        command.add_argument("--json", action="store_true", help="print the results as JSON")
    for command in (rewrapping, reminding, covering):
        command.add_argument(
            "--rate", type=_positive, default=DEFAULT_RATE, metavar="RECORDS", help=_RECORDS
        )
    reminding.add_argument(
        "--within",
        type=_duration,
        default=f"{DEFAULT_WITHIN_DAYS}d",
        metavar="TIME",
        help="how long before its date something is told, such as 36h (default: %(default)s)",
    )
    rewrapping.add_argument(
        "--no-rotate",
        action="store_true",
        help="begin with no rotation: take records to the latest version that there is",
    )
    rewrapping.add_argument(
        "--grace",
        type=_positive,
        metavar="SECONDS",
        help="how long calls under way may take to end, before older ciphertexts stop opening "
        "(default: the longest deadline and lease that the settings allow, and 10 s)",
    )
    return parser


def _question(text: str) -> HealthQuestion:
    try:
        return HealthQuestion.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    return 0.0 if text == "0" else _positive(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= _MAX:
        raise argparse.ArgumentTypeError(f"must be a number above 0, and at most {_MAX}")
    return number


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("must be days or hours, such as 14d or 36h")
    return int(match[1]) * (timedelta(days=1) if match[2] == "d" else timedelta(hours=1))
