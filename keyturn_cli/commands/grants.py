"""`keyturn grants`: an owner's consent."""

from __future__ import annotations

import click

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn_cli.commands.command_line import (
    OwnerSession,
    examples,
    json_option,
    timeout_option,
)
from keyturn_cli.printing import print_json, print_table
from keyturn_cli.record_views import GRANT_COLUMNS, grant_document, grant_row


@click.group("grants")
def grants_group() -> None:
    """Let one app use one key, within limits, and withdraw that.

    KEY is a whole name, users/alice/keys/openai, or short: openai. A revocation holds from the
    app's next request.
    """


@grants_group.command(
    "add",
    epilog=examples(
        "keyturn grants add openai --app spiffe://example.org/app/billing \\",
        "  --model 'gpt-4o*' --endpoint chat/completions --expires 30d",
    ),
)
@click.argument("key")
@click.option("--app", required=True, metavar="SPIFFE_ID", help="The app that may use the key.")
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    help="A model, a prefix such as 'gpt-4o*', or '*' for every one. Repeatable.",
)
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    required=True,
    help="A path after /v1/, such as chat/completions, or '*' for every one. Repeatable.",
)
@click.option(
    "--source-cidr",
    "source_cidrs",
    multiple=True,
    help="A network that the app may call from. Repeatable; without it, from anywhere.",
)
@click.option(
    "--expires",
    metavar="WHEN",
    help="When the grant ends: 30d, 12h, or a time such as 2027-01-01T00:00:00Z. "
    "Without it: when it is revoked.",
)
@click.option(
    "--may-choose-account",
    is_flag=True,
    help="Let the app name OpenAI's organisation and project by header.",
)
@json_option
@timeout_option()
def add(  # noqa: PLR0913 - one parameter per option, as click wants it
    key: str,
    *,
    app: str,
    models: tuple[str, ...],
    endpoints: tuple[str, ...],
    source_cidrs: tuple[str, ...],
    expires: str | None,
    may_choose_account: bool,
    as_json: bool,
    timeout_seconds: float,
) -> None:
    """Consent that one app may use KEY."""
    session = OwnerSession()
    full_name = session.full_name(key)
    grant = grant_pb.Grant(
        app=app,
        models=models,
        endpoints=endpoints,
        source_cidrs=source_cidrs,
        may_choose_account=may_choose_account,
    )
    expire_time = session.expiry(expires)
    if expire_time is not None:
        grant.expire_time.FromDatetime(expire_time)
    created = session.call(timeout_seconds, lambda api: api.create_grant(full_name, grant))
    if as_json:
        print_json(grant_document(created, session.now))
    else:
        click.echo(created.name)
        click.echo(f"{created.app} may use {full_name} from now on.", err=True)


@grants_group.command("list", epilog=examples("keyturn grants list openai"))
@click.argument("key")
@json_option
@timeout_option()
def list_(key: str, *, as_json: bool, timeout_seconds: float) -> None:
    """List the grants on KEY, the oldest first, ended ones included."""
    session = OwnerSession()
    full_name = session.full_name(key)
    grants = session.call(timeout_seconds, lambda api: api.list_grants(full_name))
    documents = [grant_document(grant, session.now) for grant in grants]
    if as_json:
        print_json({"grants": documents})
    elif documents:
        print_table(GRANT_COLUMNS, [grant_row(document) for document in documents])
    else:
        click.echo(f"{full_name} has no grants: no app may use it.", err=True)


@grants_group.command(
    "revoke", epilog=examples("keyturn grants revoke openai/grants/9396ea8e170ceed3")
)
@click.argument("grant_name")
@json_option
@timeout_option()
def revoke(grant_name: str, *, as_json: bool, timeout_seconds: float) -> None:
    """Withdraw a consent. GRANT_NAME is as listed, or short: openai/grants/<id>."""
    session = OwnerSession()
    full_name = session.full_name(grant_name)
    revoked = session.call(timeout_seconds, lambda api: api.revoke_grant(full_name))
    if as_json:
        print_json(grant_document(revoked, session.now))
    else:
        click.echo(f"Revoked {revoked.name}: {revoked.app} is refused from now on.", err=True)
