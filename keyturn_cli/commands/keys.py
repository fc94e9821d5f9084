"""`keyturn keys`: an owner's keys."""

from __future__ import annotations

import sys

import click

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import (
    OwnerSession,
    call_options,
    json_option,
    run,
    timeout_option,
)
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.key_input import read_api_key
from keyturn_cli.owner_api import owner_api
from keyturn_cli.printing import print_fields, print_json, print_table
from keyturn_cli.record_views import KEY_COLUMNS, for_people, key_document, key_row
from keyturn_cli.resource_names import owner_name

_stdin_option = click.option(
    "--stdin",
    "from_stdin",
    is_flag=True,
    help="Read the API key from standard input, also at a terminal.",
)


@click.group("keys")
def keys_group() -> None:
    """Give OpenAI API keys into custody, replace and destroy them.

    NAME is a whole name, users/alice/keys/openai or teams/payments/keys/openai, or short: openai
    is a key of the person who is logged in. An API key goes in at a hidden prompt or on standard
    input, never as an argument, and does not come out again.
    """


@keys_group.command("add")
@click.argument("name")
@_stdin_option
@json_option
@timeout_option()
def add(name: str, *, from_stdin: bool, as_json: bool, timeout_seconds: float) -> None:
    """Take a new key into custody."""
    session = OwnerSession()
    full_name = session.full_name(name)
    api_key = read_api_key(from_stdin=from_stdin)

    async def work() -> key_pb.Key:
        options = call_options(timeout_seconds)
        async with owner_api(session.settings, session.token, options) as api:
            return await api.create_key(full_name, api_key)

    _print_key(run(work()), as_json=as_json, done="Added")


@keys_group.command("list")
@click.argument("owner", required=False)
@json_option
@timeout_option()
def list_(owner: str | None, *, as_json: bool, timeout_seconds: float) -> None:
    """List the keys of OWNER: yourself, a user, or teams/<team>."""
    session = OwnerSession()
    parent = owner_name(owner, session.person)

    async def work() -> list[key_pb.Key]:
        options = call_options(timeout_seconds)
        async with owner_api(session.settings, session.token, options) as api:
            return list(await api.list_keys(parent))

    documents = [key_document(key) for key in run(work())]
    if as_json:
        print_json({"keys": documents})
    elif documents:
        print_table(KEY_COLUMNS, [key_row(document) for document in documents])
    else:
        click.echo(f"{parent} has no keys. `keyturn keys add NAME` adds one.", err=True)


@keys_group.command("show")
@click.argument("name")
@json_option
@timeout_option()
def show(name: str, *, as_json: bool, timeout_seconds: float) -> None:
    """Show one key's record. The key itself is not in it."""
    session = OwnerSession()
    full_name = session.full_name(name)

    async def work() -> key_pb.Key:
        options = call_options(timeout_seconds)
        async with owner_api(session.settings, session.token, options) as api:
            return await api.get_key(full_name)

    _print_key(run(work()), as_json=as_json)


@keys_group.command("rotate")
@click.argument("name")
@_stdin_option
@json_option
@timeout_option()
def rotate(name: str, *, from_stdin: bool, as_json: bool, timeout_seconds: float) -> None:
    """Replace a key by a new one. Its grants stay."""
    session = OwnerSession()
    full_name = session.full_name(name)
    api_key = read_api_key(from_stdin=from_stdin)

    async def work() -> key_pb.Key:
        options = call_options(timeout_seconds)
        async with owner_api(session.settings, session.token, options) as api:
            return await api.rotate_key(full_name, api_key)

    _print_key(run(work()), as_json=as_json, done="Rotated")


@keys_group.command("delete")
@click.argument("name")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@json_option
@timeout_option()
def delete(name: str, *, is_confirmed: bool, as_json: bool, timeout_seconds: float) -> None:
    """Destroy a key and its grants. There is no undo."""
    session = OwnerSession()
    full_name = session.full_name(name)
    if not is_confirmed:
        _confirm_deletion(full_name)

    async def work() -> None:
        options = call_options(timeout_seconds)
        async with owner_api(session.settings, session.token, options) as api:
            await api.delete_key(full_name)

    run(work())
    if as_json:
        print_json({"deleted": full_name})
    else:
        click.echo(f"Deleted {full_name}.", err=True)


def _confirm_deletion(name: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError(
            "Deleting needs a confirmation, and there is no terminal to ask at.",
            ExitCode.USAGE,
            hint="Give --yes.",
        )
    if not click.confirm(f"Destroy {name} and all its grants? There is no undo", err=True):
        raise CommandError("Nothing was deleted.", ExitCode.USAGE)


def _print_key(key: key_pb.Key, *, as_json: bool, done: str = "") -> None:
    document = key_document(key)
    if as_json:
        print_json(document)
        return
    if done:
        click.echo(f"{done} {document['name']}, version {document['key_version']}.", err=True)
        return
    print_fields(
        [
            ("name", document["name"]),
            ("state", document["state"]),
            ("version", str(document["key_version"])),
            ("created", for_people(document["create_time"])),
            ("rotated", for_people(document["rotate_time"])),
            ("active grants", str(document["active_grant_count"])),
            ("creator", document["creator"]),
        ]
    )
