"""The key service's command line."""

from __future__ import annotations

import argparse
from pathlib import Path


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of `serve` and `bootstrap`."""
    parser = argparse.ArgumentParser(
        prog="keyvault-svc", description="Keeps owners' OpenAI keys, and leases them to gateways."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="serve owners and gateways until SIGTERM")
    preparing = commands.add_parser(
        "bootstrap",
        help="set up Vault for Keyturn; running it again changes nothing",
        epilog="Exit codes: 0 all is set up, 1 a step failed, 2 bad settings, "
        "3 something is missing or differs (with --dry-run), or must be done by hand.",
    )
    for command in (serving, preparing):
        command.add_argument("--config", type=Path, required=True, help="settings file, TOML")
    preparing.add_argument(
        "--token-file", type=Path, required=True, help="file that holds an administrator's token"
    )
    preparing.add_argument("--dry-run", action="store_true", help="change nothing, report drift")
    preparing.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser
