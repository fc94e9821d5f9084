"""`keyturn audit`: what the logs prove."""

from __future__ import annotations

from typing import Final

import click

from keyturn_cli.commands.lazy_group import LazyCommand, LazyGroup

_COMMANDS: Final = {
    "trail": LazyCommand(
        "keyturn_cli.commands.audit.trail:trail_command", "Print the chain of one request."
    ),
    "verify": LazyCommand(
        "keyturn_cli.commands.audit.verify:verify_command",
        "Prove from the logs that no key was used past the rules.",
    ),
    "report": LazyCommand(
        "keyturn_cli.commands.audit.report:report_command", "Sum up who used which key, and when."
    ),
    "key": LazyCommand(
        "keyturn_cli.commands.audit.key:key_command", "Print everything that touched one key."
    ),
}


@click.group("audit", cls=LazyGroup, lazy=_COMMANDS)
def audit_group() -> None:
    """Read from Vault's audit log who used which key."""
