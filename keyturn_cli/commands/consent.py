"""How owners agree to the consent's text before they grant more than before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import OwnerSession, require_terminal
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.printing import one_line, prose

_Command = TypeVar("_Command", bound=Callable[..., Any])

OUTDATED: Final = "CONSENT_TEXT_OUTDATED"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was typed of the consent.

    Attributes:
        is_given: Whether the owner agrees to the text in force without being shown it.
        version: The version that the owner agrees to; empty for none.
    """

    is_given: bool
    version: str

    def to(self, session: OwnerSession, timeout_seconds: float) -> str:
        """Return the version of the text that the owner agrees to, which they read here if need be.

        Raises:
            CommandError: They do not agree, or there is no terminal to ask at.
        """
        if self.version:
            return self.version
        if not self.is_given:
            require_terminal("Granting")
        consent = session.call(timeout_seconds, lambda api: api.get_consent_text())
        if not self.is_given:
            click.echo(prose(consent.text), err=True)
            click.echo(err=True)
            if not click.confirm(
                f"Do you agree (version {one_line(consent.version)})?", default=False, err=True
            ):
                raise CommandError("Nothing was granted.", ExitCode.USAGE)
        return consent.version


def agreement_options(command: _Command) -> _Command:
    """Add the options by which scripts agree, `is_confirmed` and `consent_text`."""
    command = click.option(
        "--consent-text",
        default="",
        metavar="VERSION",
        help="Agree to this version of the consent's text; refused when another is in force.",
    )(command)
    return click.option(
        "--yes",
        "is_confirmed",
        is_flag=True,
        help="Agree to the consent's text without being shown it.",
    )(command)
