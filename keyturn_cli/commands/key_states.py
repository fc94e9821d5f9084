"""Commands of `keyturn keys` that change which version of a key serves, or whether it does."""

from __future__ import annotations

from datetime import timedelta

import click

from keyturn_cli.commands.command_line import OwnerSession, json_option, timeout_option
from keyturn_cli.commands.key_verification import have_verified, patience_of, say, wait_options
from keyturn_cli.expiry import parse_duration
from keyturn_cli.key_input import read_api_key
from keyturn_cli.key_views import key_document, state_word
from keyturn_cli.printing import print_json
from keyturn_cli.verification_wait import AwaitedVerification, awaits_verification
from keyturn_cli.verification_words import pending_words

stdin_option = click.option(
    "--stdin",
    "from_stdin",
    is_flag=True,
    help="Read the API key from standard input, also at a terminal.",
)


@click.command("rotate")
@click.argument("name")
@stdin_option
@click.option(
    "--overlap",
    metavar="DURATION",
    help="How long the replaced key is kept, so that the rotation can be undone: 24h, 7d, at most "
    "30d, or 0. Without it: as your deployment does.",
)
@wait_options
@json_option
@timeout_option()
def rotate(
    name: str,
    *,
    from_stdin: bool,
    overlap: str | None,
    wait_seconds: float,
    is_not_waiting: bool,
    as_json: bool,
    timeout_seconds: float,
) -> None:
    """Replace a key by a new one, once that is verified. Its grants stay."""
    session = OwnerSession()
    full_name = session.full_name(name)
    kept = _overlap(overlap)
    api_key = read_api_key(from_stdin=from_stdin)
    have_verified(
        session,
        patience_of(wait_seconds, timeout_seconds, is_not_waiting=is_not_waiting, as_json=as_json),
        lambda api: api.rotate_key(full_name, api_key, overlap=kept),
        "Took in version {version} of {name}.",
    )


@click.command("undo-rotation")
@click.argument("name")
@json_option
@timeout_option()
def undo_rotation(name: str, *, as_json: bool, timeout_seconds: float) -> None:
    """Take the last rotation back.

    The key before it serves again, and the newer one is destroyed.
    """
    session = OwnerSession()
    full_name = session.full_name(name)
    key = session.call(timeout_seconds, lambda api: api.undo_rotation(full_name))
    if as_json:
        print_json(key_document(key))
    say(f"Undone: {key.name} is {state_word(key.state)} with version {key.key_version}.")
    if awaits_verification(key):
        say(pending_words(key))


@click.command("verify")
@click.argument("name")
@wait_options
@json_option
@timeout_option()
def verify(
    name: str,
    *,
    wait_seconds: float,
    is_not_waiting: bool,
    as_json: bool,
    timeout_seconds: float,
) -> None:
    """Have a key tried at OpenAI.

    Of a rotation under way, that is the incoming version, or else the current one.
    """
    session = OwnerSession()
    full_name = session.full_name(name)
    have_verified(
        session,
        patience_of(wait_seconds, timeout_seconds, is_not_waiting=is_not_waiting, as_json=as_json),
        lambda api: api.verify_key(full_name),
        "Asked for version {version} of {name} to be verified.",
    )


@click.command("disable")
@click.argument("name")
@json_option
@timeout_option()
def disable(name: str, *, as_json: bool, timeout_seconds: float) -> None:
    """Switch a key off, from the next request on. `enable` switches it on."""
    session = OwnerSession()
    full_name = session.full_name(name)
    key = session.call(timeout_seconds, lambda api: api.disable_key(full_name))
    if as_json:
        print_json(key_document(key))
    say(f"Switched {key.name} off: apps are refused from their next request on.")


@click.command("enable")
@click.argument("name")
@wait_options
@json_option
@timeout_option()
def enable(
    name: str,
    *,
    wait_seconds: float,
    is_not_waiting: bool,
    as_json: bool,
    timeout_seconds: float,
) -> None:
    """Switch a key on. It serves once it is verified anew."""
    session = OwnerSession()
    full_name = session.full_name(name)
    have_verified(
        session,
        patience_of(wait_seconds, timeout_seconds, is_not_waiting=is_not_waiting, as_json=as_json),
        lambda api: api.enable_key(full_name),
        "Switched {name} on.",
        AwaitedVerification.of_current,
    )


def _overlap(typed: str | None) -> timedelta | None:
    if typed is None:
        return None
    try:
        return parse_duration(typed)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--overlap") from error
