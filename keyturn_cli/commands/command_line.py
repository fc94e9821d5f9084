"""What all commands share: their options, and how they run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Final, TypeVar

import click

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.expiry import parse_expiry
from keyturn_cli.oidc_renewal import require_login
from keyturn_cli.oidc_step_up import with_step_up
from keyturn_cli.owner_api import OwnerAPI, owner_api
from keyturn_cli.owner_token import OwnerToken
from keyturn_cli.resource_names import full_name
from keyturn_cli.service_channels import CallOptions, new_request_id
from svc_runtime.clock import SystemClock

DEFAULT_TIMEOUT_SECONDS: Final = 30.0
_MAX_TIMEOUT_SECONDS: Final = 3600.0

_Result = TypeVar("_Result")
_Command = TypeVar("_Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def examples(*lines: str) -> str:
    """Return the epilog of a command's help that shows how *lines* are typed."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def timeout_option(
    default_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> Callable[[_Command], _Command]:
    """Return the option `--timeout`."""
    return click.option(
        "--timeout",
        "timeout_seconds",
        type=click.FloatRange(min=0, min_open=True, max=_MAX_TIMEOUT_SECONDS),
        default=default_seconds,
        show_default=True,
        metavar="SECONDS",
        help="How long a call may take.",
    )


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run *work* to its end."""
    return asyncio.run(work)


def call_options(timeout_seconds: float) -> CallOptions:
    """Return the options of a call under a fresh request id."""
    return CallOptions(timeout_seconds, new_request_id())


def require_terminal(deed: str) -> None:
    """See that there is a terminal at which *deed* can be confirmed.

    Raises:
        CommandError: There is none.
    """
    if not sys.stdin.isatty():
        raise CommandError(
            f"{deed} needs a confirmation, and there is no terminal to ask at.",
            ExitCode.USAGE,
            hint="Give --yes.",
        )


class OwnerSession:
    """Settings, and the person who is logged in, for the commands of owners."""

    def __init__(self) -> None:
        """Load both.

        Raises:
            CommandError: A setting is wrong, or nobody is logged in.
        """
        self.settings = ClientSettings.load()
        self.now = SystemClock().now()
        self.token: OwnerToken = require_login(self.settings, self.now)

    @property
    def person(self) -> str | None:
        """The person's name, as the token says, for short names only."""
        return self.token.unverified_name

    def full_name(self, typed: str) -> str:
        """Return the whole name of the key or grant that *typed* means."""
        return full_name(typed, self.person)

    def expiry(self, typed: str | None) -> datetime | None:
        """Return the time that *typed*, the value of `--expires`, means; None for no value.

        Raises:
            click.BadParameter: It means none, or one that is past.
        """
        if typed is None:
            return None
        try:
            return parse_expiry(typed, self.now)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--expires") from error

    def call(
        self, timeout_seconds: float, work: Callable[[OwnerAPI], Awaitable[_Result]]
    ) -> _Result:
        """Do *work* at the key service, each call of it within *timeout_seconds*.

        If the key service asks for a fresher login, the person logs in anew and it is done again.

        Raises:
            CommandError: The key service cannot answer, or refuses.
        """

        async def connected(token: OwnerToken) -> _Result:
            options = call_options(timeout_seconds)
            async with owner_api(self.settings, token, options) as api:
                return await work(api)

        result, self.token = with_step_up(
            self.settings, self.token, lambda token: run(connected(token))
        )
        return result
