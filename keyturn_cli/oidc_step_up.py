"""What the command does when a service asks for a fresher or a stronger login."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TypeVar

import click
import grpc

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.oidc_need import login_need
from keyturn_cli.owner_token import OwnerToken, store_owner_token
from svc_runtime.error_details import metadata_of

STEP_UP_REQUIRED: Final = "STEP_UP_REQUIRED"
_Result = TypeVar("_Result")


def with_step_up(
    settings: ClientSettings, token: OwnerToken, call: Callable[[OwnerToken], _Result]
) -> tuple[_Result, OwnerToken]:
    """Return what *call* returns, and the token it was made with: *token* or a new login's.

    The person logs in anew, and *call* is repeated once, if a service refused it with
    STEP_UP_REQUIRED and there is a terminal to ask at. A service checks that before it does
    anything, so nothing is done twice.

    Raises:
        CommandError: What *call* raises; or the new login failed, or nobody can be asked for one.
    """
    try:
        return call(token), token
    except CommandError as error:
        if error.reason != STEP_UP_REQUIRED:
            raise
        refusal = error
    cause = refusal.__cause__
    details = metadata_of(cause) if isinstance(cause, grpc.aio.AioRpcError) else {}
    need = login_need(details)
    if not sys.stdin.isatty():
        raise CommandError(
            f"This needs {need.in_words()}.",
            ExitCode.REFUSED,
            hint="Run `keyturn login --fresh`, then this again.",
            reason=STEP_UP_REQUIRED,
            request_id=refusal.request_id,
        )
    click.echo(f"This needs {need.in_words()}.", err=True)
    # Only now: HTTP takes longer to import than all the rest of a command.
    from keyturn_cli.oidc_again import log_in_again  # noqa: PLC0415 - see above

    fresh = log_in_again(settings, token, need)
    store_owner_token(fresh, settings)
    return call(fresh), fresh
