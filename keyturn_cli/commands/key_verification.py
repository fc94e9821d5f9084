"""How commands that have a key verified wait for it, and tell how it ended."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click
from rich.console import Console

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import OwnerSession
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.key_views import key_document
from keyturn_cli.owner_api import OwnerAPI
from keyturn_cli.printing import one_line, print_json
from keyturn_cli.verification_wait import AwaitedVerification, wait_for_verification
from keyturn_cli.verification_words import (
    Ending,
    ending_of,
    pending_words,
    standing_of,
)

_DEFAULT_WAIT_SECONDS: Final = 60.0
_MAX_WAIT_SECONDS: Final = 3600.0

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a command waits, and how it tells the end.

    Attributes:
        wait_seconds: For the verification, after the calls; None to not wait.
        timeout_seconds: For each call.
        as_json: Whether the final record is printed for programs.
    """

    wait_seconds: float | None
    timeout_seconds: float
    as_json: bool


def wait_options(command: _Command) -> _Command:
    """Add the options `--wait` and `--no-wait`; `patience_of` takes their values."""
    wait = click.option(
        "--wait",
        "wait_seconds",
        type=click.FloatRange(min=0, max=_MAX_WAIT_SECONDS),
        default=_DEFAULT_WAIT_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait until the key is verified at OpenAI.",
    )
    no_wait = click.option(
        "--no-wait", "is_not_waiting", is_flag=True, help="Do not wait until it is verified."
    )
    return wait(no_wait(command))


def patience_of(
    wait_seconds: float, timeout_seconds: float, *, is_not_waiting: bool, as_json: bool
) -> Patience:
    """Return what the options of a command say."""
    return Patience(None if is_not_waiting else wait_seconds, timeout_seconds, as_json)


def have_verified(
    session: OwnerSession,
    patience: Patience,
    change: Callable[[OwnerAPI], Awaitable[key_pb.Key]],
    done: str,
    awaited_of: Callable[[key_pb.Key], AwaitedVerification | None] = AwaitedVerification.of,
) -> None:
    """Do *change*, which has a key verified, then wait, and tell how it ended.

    Args:
        session: Who acts.
        patience: How long to wait.
        change: The call; its record is the one before the verification.
        done: What *change* has done, `{name}` and `{version}` standing for what is verified.
        awaited_of: What to wait for, of that record; None for nothing.

    Raises:
        CommandError: The key was not verified, or the key service refused.
    """

    async def work(api: OwnerAPI) -> tuple[key_pb.Key, Ending | None]:
        key = await change(api)
        awaited = awaited_of(key)
        version = awaited.key_version if awaited is not None else key.key_version
        say(done.format(name=key.name, version=version))
        if awaited is None:
            return key, standing_of(key)
        if patience.wait_seconds is None:
            return key, None
        with _waiting(key.name):
            result = await wait_for_verification(api.apart(), key, awaited, patience.wait_seconds)
        return result.key, ending_of(result, awaited, patience.wait_seconds)

    key, ending = session.call(patience.timeout_seconds, work)
    if patience.as_json:
        print_json(key_document(key))
    if ending is None:
        say(pending_words(key))
    elif ending.exit_code is not ExitCode.OK:
        raise CommandError(ending.text, ending.exit_code, hint=ending.hint)
    else:
        say(ending.text)
        if ending.hint:
            say(ending.hint)


def say(text: str) -> None:
    """Tell a person *text*, apart from what goes to programs."""
    click.echo(one_line(text), err=True)


@contextmanager
def _waiting(name: str) -> Iterator[None]:
    """Show that something is awaited: a spinner on a terminal, else a line."""
    text = f"Waiting until {name} is verified at OpenAI ..."
    if not sys.stderr.isatty():
        say(text)
        yield
        return
    with Console(stderr=True, markup=False).status(text):
        yield
