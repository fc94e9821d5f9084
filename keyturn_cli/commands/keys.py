"""`keyturn keys`: an owner's keys."""

from __future__ import annotations

from typing import Final

import click

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import (
    OwnerSession,
    examples,
    json_option,
    require_terminal,
    timeout_option,
)
from keyturn_cli.commands.key_states import (
    disable,
    enable,
    key_id_of,
    openai_key_id_option,
    rotate,
    stdin_option,
    undo_rotation,
    verify,
)
from keyturn_cli.commands.key_verification import have_verified, patience_of, say, wait_options
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.key_dues import summary
from keyturn_cli.key_input import read_api_key
from keyturn_cli.key_views import (
    KEY_COLUMNS,
    key_document,
    key_fields,
    key_row,
    proof_document,
    proof_words,
)
from keyturn_cli.limit_options import TypedLimits, limit_options
from keyturn_cli.limit_views import limits_words
from keyturn_cli.printing import print_fields, print_json, print_table
from keyturn_cli.record_views import for_people
from keyturn_cli.resource_names import owner_name
from keyturn_cli.verification_wait import awaits_verification
from keyturn_cli.verification_words import pending_words

_ASSURANCES: Final = {
    "standard": key_pb.KEY_ASSURANCE_STANDARD,
    "high": key_pb.KEY_ASSURANCE_HIGH,
}
_expires_option = click.option(
    "--expires",
    metavar="WHEN",
    help="When the key stops serving by itself: 90d, 12h, or a time such as 2027-01-01T00:00:00Z.",
)
_assurance_option = click.option(
    "--assurance",
    type=click.Choice(list(_ASSURANCES)),
    help="high: Vault itself enforces that each hand-off to a gateway is used once and in time. "
    "It costs each request some milliseconds.",
)
_base_url_option = click.option(
    "--base-url",
    metavar="URL",
    help="Where at OpenAI the key is used, such as https://eu.api.openai.com/v1; the deployment "
    "must allow it. default: wherever it says.",
)


@click.group("keys")
def keys_group() -> None:
    """Give OpenAI API keys into custody, rotate, switch and destroy them.

    NAME is a whole name, users/alice/keys/openai or teams/payments/keys/openai, or short: openai
    is a key of the person who is logged in. An API key goes in at a hidden prompt or on standard
    input, never as an argument, and does not come out again.

    A key serves once a gateway has verified it at OpenAI. Commands that bring one wait for that;
    they end with 6 where OpenAI does not take the key, and with 5 where it is not known yet.
    """


@keys_group.command(
    "add",
    epilog=examples(
        "keyturn keys add openai",
        "pass show openai-key | keyturn keys add openai --expires 90d",
        "keyturn keys add teams/payments/keys/openai --assurance high --no-wait",
        "keyturn keys add openai-eu --base-url https://eu.api.openai.com/v1",
    ),
)
@click.argument("name")
@stdin_option
@_expires_option
@_assurance_option
@_base_url_option
@openai_key_id_option
@wait_options
@json_option
@timeout_option()
def add(  # noqa: PLR0913 - one parameter per option, as click wants it
    name: str,
    *,
    from_stdin: bool,
    expires: str | None,
    assurance: str | None,
    base_url: str | None,
    openai_key_id: str | None,
    wait_seconds: float,
    is_not_waiting: bool,
    as_json: bool,
    timeout_seconds: float,
) -> None:
    """Take a new key into custody, and have it verified."""
    session = OwnerSession()
    full_name = session.full_name(name)
    expire_time = session.expiry(expires)
    chosen = _ASSURANCES[assurance] if assurance else key_pb.KEY_ASSURANCE_UNSPECIFIED
    api_key = read_api_key(from_stdin=from_stdin)
    have_verified(
        session,
        patience_of(wait_seconds, timeout_seconds, is_not_waiting=is_not_waiting, as_json=as_json),
        lambda api: api.create_key(
            full_name,
            api_key,
            expire_time=expire_time,
            assurance=chosen,
            base_url=_base_url(base_url),
            openai_key_id=key_id_of(openai_key_id),
        ),
        "Added {name}, version {version}.",
    )


@keys_group.command(
    "list",
    epilog=examples("keyturn keys list", "keyturn keys list teams/payments --json"),
)
@click.argument("owner", required=False)
@json_option
@timeout_option()
def list_(owner: str | None, *, as_json: bool, timeout_seconds: float) -> None:
    """List an owner's keys, and what is due.

    OWNER is yourself, a user, or teams/<team>.
    """
    session = OwnerSession()
    parent = owner_name(owner, session.person)
    keys = session.call(timeout_seconds, lambda api: api.list_keys(parent))
    if as_json:
        print_json({"keys": [key_document(key) for key in keys]})
    elif keys:
        print_table(KEY_COLUMNS, [key_row(key, session.now) for key in keys])
        say(summary(keys, session.now))
    else:
        say(f"{parent} has no keys. `keyturn keys add NAME` adds one.")


@keys_group.command(
    "show", epilog=examples("keyturn keys show openai", "keyturn keys show openai --json")
)
@click.argument("name")
@json_option
@timeout_option()
def show(name: str, *, as_json: bool, timeout_seconds: float) -> None:
    """Show one key's record. The key itself is not in it."""
    session = OwnerSession()
    full_name = session.full_name(name)
    key = session.call(timeout_seconds, lambda api: api.get_key(full_name))
    if as_json:
        print_json(key_document(key))
    else:
        print_fields(key_fields(key, session.now))


@keys_group.command(
    "set",
    epilog=examples(
        "keyturn keys set openai --expires 2027-01-01T00:00:00Z",
        "keyturn keys set openai --never-expires --assurance high",
        "keyturn keys set openai --usd-per-month 50 --concurrent-calls 10",
        "keyturn keys set openai --openai-key-id key_1a2B3c4D5e6F",
    ),
)
@click.argument("name")
@_expires_option
@click.option("--never-expires", is_flag=True, help="Take the key's expiry away.")
@_assurance_option
@_base_url_option
@openai_key_id_option
@limit_options
@json_option
@timeout_option()
def set_(  # noqa: PLR0913 - one parameter per option, as click wants it
    name: str,
    *,
    expires: str | None,
    never_expires: bool,
    assurance: str | None,
    base_url: str | None,
    openai_key_id: str | None,
    limits: TypedLimits,
    as_json: bool,
    timeout_seconds: float,
) -> None:
    """Change a key's expiry, assurance, limits, or where and what it is at OpenAI.

    Limits are over all grants of the key, and hold from the next request. Those that are not given
    stay as they are.
    """
    if expires is not None and never_expires:
        raise click.UsageError("Give --expires or --never-expires, not both.")
    session = OwnerSession()
    changed = key_pb.Key(
        name=session.full_name(name),
        base_url=_base_url(base_url),
        openai_key_id=key_id_of(openai_key_id),
        limits=limits.message,
    )
    expire_time = session.expiry(expires)
    if expire_time is not None:
        changed.expire_time.FromDatetime(expire_time)
    if assurance is not None:
        changed.assurance = _ASSURANCES[assurance]
    given = {
        "expire_time": expire_time is not None or never_expires,
        "assurance": assurance is not None,
        "base_url": base_url is not None,
        "openai_key_id": openai_key_id is not None,
    }
    fields = [*(field for field, is_given in given.items() if is_given), *limits.changed]
    if not fields:
        raise click.UsageError("Say what to change; see --help.")
    key = session.call(timeout_seconds, lambda api: api.update_key(changed, fields))
    document = key_document(key)
    if as_json:
        print_json(document)
    expiry = for_people(document["expire_time"]) or "never"
    words = limits_words(document["limits"])
    said = f", limits: {words or 'none'}" if words or limits.changed else ""
    say(f"Set {key.name}: expires {expiry}, assurance {document['assurance']}{said}.")
    if awaits_verification(key):
        say(f"It is {document['state']} until it is verified anew. {pending_words(key)}")


@keys_group.command(
    "delete",
    epilog=examples("keyturn keys delete openai", "keyturn keys delete openai --yes --json"),
)
@click.argument("name")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@json_option
@timeout_option()
def delete(name: str, *, is_confirmed: bool, as_json: bool, timeout_seconds: float) -> None:
    """Destroy a key and its grants, and print what was destroyed. There is no undo."""
    session = OwnerSession()
    full_name = session.full_name(name)
    if not is_confirmed:
        require_terminal("Deleting")
        if not click.confirm(f"Destroy {full_name} and all its grants? There is no undo", err=True):
            raise CommandError("Nothing was deleted.", ExitCode.USAGE)
    proof = session.call(timeout_seconds, lambda api: api.delete_key(full_name))
    if as_json:
        print_json({"deleted": full_name, "proof": proof_document(proof)})
    else:
        click.echo(proof_words(proof))
        say("It stays valid at OpenAI: revoke it there.")


def _base_url(option: str | None) -> str:
    return "" if option in {None, "default"} else str(option)


for _command in (rotate, undo_rotation, verify, disable, enable):
    keys_group.add_command(_command)
