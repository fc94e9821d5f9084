"""A failure that a person is told about, in place of a traceback."""

from __future__ import annotations

from typing import IO, Any

import click

from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.printing import one_line


class CommandError(click.ClickException):
    """An expected failure: what happened, what to do, and how the process ends.

    Attributes:
        text: What happened.
        exit_code: How the process ends.
        hint: One line of what to do.
        reason: The service's stable reason, when a service refused.
        request_id: Under what id logs know the call, when there was one.
    """

    exit_code: ExitCode  # type: ignore[misc]  # click means a constant of the class, and reads either

    def __init__(
        self,
        text: str,
        exit_code: ExitCode,
        *,
        hint: str = "",
        reason: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(text)
        self.text = text
        self.exit_code = exit_code
        self.hint = hint
        self.reason = reason
        self.request_id = request_id

    def format_message(self) -> str:
        """Return the text with its reason and request id, on one line."""
        origin = [self.reason] if self.reason else []
        if self.request_id:
            origin.append(f"request id {self.request_id}")
        suffix = f" ({', '.join(origin)})" if origin else ""
        return one_line(self.text + suffix)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the failure and what to do, by default to standard error."""
        click.echo(f"error: {self.format_message()}", file=file, err=True)
        if self.hint:
            click.echo(f"  {one_line(self.hint)}", file=file, err=True)
