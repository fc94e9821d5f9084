"""Commands of `keyturn keys` that change which version of a key serves, or whether it does."""

from __future__ import annotations

from datetime import timedelta

import click

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import (
    OwnerSession,
    examples,
    json_option,
    timeout_option,
)
from keyturn_cli.commands.key_verification import have_verified, patience_of, say, wait_options
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.expiry import parse_duration
from keyturn_cli.key_input import read_api_key
from keyturn_cli.key_views import key_document, state_word
from keyturn_cli.owner_api import OwnerAPI
from keyturn_cli.printing import print_json
from keyturn_cli.verification_wait import AwaitedVerification, awaits_verification
from keyturn_cli.verification_words import pending_words

stdin_option = click.option(
    "--stdin",
    "from_stdin",
    is_flag=True,
    help="Read the API key from standard input, also at a terminal.",
)
openai_key_id_option = click.option(
    "--openai-key-id",
    metavar="ID",
    help="The key's id at OpenAI, key_..., as its list of keys has it; none: take it away. With it "
    "your deployment can find out that the key is used beside Keyturn.",
)


@click.command(
    "rotate",
    epilog=examples(
        "keyturn keys rotate openai",
        "pass show new-key | keyturn keys rotate openai --overlap 48h",
    ),
)
@click.argument("name")
@stdin_option
@click.option(
    "--overlap",
    metavar="DURATION",
    help="How long the replaced key is kept, so that the rotation can be undone: 24h, 7d, at most "
    "30d, or 0. Without it: as your deployment does.",
)
@openai_key_id_option
@wait_options
@json_option
@timeout_option()
def rotate(  # noqa: PLR0913 - one parameter per option, as click wants it
    name: str,
    *,
    from_stdin: bool,
    overlap: str | None,
    openai_key_id: str | None,
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
        lambda api: api.rotate_key(
            full_name, api_key, overlap=kept, openai_key_id=key_id_of(openai_key_id)
        ),
        "Took in version {version} of {name}.",
    )


def key_id_of(option: str | None) -> str:
    """Return the id at OpenAI that `--openai-key-id` says; empty for none."""
    return "" if option in {None, "none"} else str(option)


@click.command(
    "undo-rotation",
    epilog=examples(
        "keyturn keys undo-rotation openai", "keyturn keys undo-rotation openai --version 3"
    ),
)
@click.argument("name")
@click.option(
    "--version",
    "typed_version",
    type=click.IntRange(min=1, max=2**32 - 1),
    metavar="NUMBER",
    help="The version that the rotation brought, as `keys show` has it. Without it: the newest.",
)
@json_option
@timeout_option()
def undo_rotation(
    name: str, *, typed_version: int | None, as_json: bool, timeout_seconds: float
) -> None:
    """Take the last rotation back.

    The key before it serves again, and the newer one is destroyed. With --version, a repeated
    command takes nothing more back.
    """
    session = OwnerSession()
    full_name = session.full_name(name)
    key = session.call(timeout_seconds, lambda api: _undone(api, full_name, typed_version))
    if as_json:
        print_json(key_document(key))
    say(f"Undone: {key.name} is {state_word(key.state)} with version {key.key_version}.")
    if awaits_verification(key):
        say(pending_words(key))


@click.command(
    "verify",
    epilog=examples("keyturn keys verify openai", "keyturn keys verify openai --no-wait"),
)
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


@click.command("disable", epilog=examples("keyturn keys disable openai"))
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


@click.command("enable", epilog=examples("keyturn keys enable openai"))
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


async def _undone(api: OwnerAPI, name: str, version: int | None) -> key_pb.Key:
    """Take back the rotation that brought *version*, by default the newest.

    Raises:
        CommandError: The key service refused; or it is not known whether it was done.
    """
    if version is None:
        key = await api.apart().get_key(name)
        version = key.incoming.key_version if key.HasField("incoming") else key.key_version
    try:
        return await api.undo_rotation(name, version)
    except CommandError as error:
        if error.exit_code is not ExitCode.UNAVAILABLE:
            raise
        raise CommandError(
            error.text,
            error.exit_code,
            hint="It may have been done all the same. To make sure, and take nothing more back: "
            f"`keyturn keys undo-rotation {name} --version {version}`.",
            reason=error.reason,
            request_id=error.request_id,
        ) from error


def _overlap(typed: str | None) -> timedelta | None:
    if typed is None:
        return None
    try:
        return parse_duration(typed)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--overlap") from error
