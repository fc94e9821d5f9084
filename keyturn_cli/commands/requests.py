"""`keyturn requests`: app developers ask for grants, owners decide."""

from __future__ import annotations

import click

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn_cli.commands.command_line import (
    OwnerSession,
    examples,
    json_option,
    timeout_option,
)
from keyturn_cli.commands.consent import Agreement, agreement_options
from keyturn_cli.commands.grant_terms import TypedTerms, term_options
from keyturn_cli.grant_request_api import GrantRequestAPI
from keyturn_cli.printing import print_fields, print_json, print_table
from keyturn_cli.record_views import grant_document
from keyturn_cli.request_views import (
    REQUEST_COLUMNS,
    request_document,
    request_fields,
    request_row,
)
from keyturn_cli.resource_names import owner_name

_EXAMPLE = "openai/grantRequests/9396ea8e170ceed3"

_answer_option = click.option(
    "--answer", default="", metavar="TEXT", help="What to tell who asked, in a line."
)


@click.group("requests")
def requests_group() -> None:
    """Ask an owner for a grant, and decide about what others ask.

    REQUEST is as listed, or short: openai/grantRequests/<id>.
    """


@requests_group.command(
    "ask",
    epilog=examples(
        "keyturn requests ask users/alice/keys/openai --app spiffe://example.org/app/billing \\",
        "  --model gpt-4o-mini --endpoint chat/completions --usd-per-month 50 --expires 90d \\",
        "  --reason 'Sorts incoming invoices, some 200 a day'",
    ),
)
@click.argument("key")
@click.option("--app", required=True, metavar="SPIFFE_ID", help="The app that is to use the key.")
@click.option(
    "--reason", required=True, metavar="TEXT", help="What for, in 10 to 500 characters on a line."
)
@term_options(are_required=True)
@json_option
@timeout_option()
def ask(
    key: str, *, app: str, reason: str, terms: TypedTerms, as_json: bool, timeout_seconds: float
) -> None:
    """Ask the owner of KEY to let an app use it.

    KEY is its whole name, users/alice/keys/openai: the owner tells you. Nothing tells you whether
    there is such a key before they decide. Who asks again for the same app replaces their request.
    """
    session = OwnerSession()
    full_name, grant = session.full_name(key), terms.grant(session, app)
    request = session.call(
        timeout_seconds, lambda api: GrantRequestAPI(api).ask(full_name, grant, reason)
    )
    if as_json:
        print_json(request_document(request, session.now))
        return
    click.echo(request.name)
    click.echo("Asked. `keyturn requests show` tells what the owner says.", err=True)


@requests_group.command(
    "list", epilog=examples("keyturn requests list", "keyturn requests list teams/payments")
)
@click.argument("owner", required=False)
@click.option("--all", "is_all", is_flag=True, help="Decided ones of the last 30 days, too.")
@json_option
@timeout_option()
def list_(owner: str | None, *, is_all: bool, as_json: bool, timeout_seconds: float) -> None:
    """List what OWNER is asked for: you, or teams/<team>."""
    session = OwnerSession()
    name = owner_name(owner, session.person)
    requests = session.call(timeout_seconds, lambda api: GrantRequestAPI(api).list_requests(name))
    documents = [
        request_document(request, session.now)
        for request in requests
        if is_all or request.state == request_pb.GRANT_REQUEST_STATE_OPEN
    ]
    if as_json:
        print_json({"requests": documents})
    elif documents:
        print_table(REQUEST_COLUMNS, [request_row(document) for document in documents])
    else:
        click.echo(f"Nobody waits for {name} to decide.", err=True)


@requests_group.command("show", epilog=examples(f"keyturn requests show {_EXAMPLE}"))
@click.argument("request")
@json_option
@timeout_option()
def show(request: str, *, as_json: bool, timeout_seconds: float) -> None:
    """Show what REQUEST asks for, why, and what became of it."""
    session = OwnerSession()
    name = session.full_name(request)
    found = session.call(timeout_seconds, lambda api: GrantRequestAPI(api).get(name))
    document = request_document(found, session.now)
    if as_json:
        print_json(document)
    else:
        print_fields(request_fields(document))


@requests_group.command(
    "approve",
    epilog=examples(
        f"keyturn requests approve {_EXAMPLE}",
        f"keyturn requests approve {_EXAMPLE} --usd-per-day 5 --expires 30d",
    ),
)
@click.argument("request")
@term_options(are_required=False)
@_answer_option
@agreement_options
@json_option
@timeout_option()
def approve(
    request: str,
    *,
    terms: TypedTerms,
    answer: str,
    is_confirmed: bool,
    consent_text: str,
    as_json: bool,
    timeout_seconds: float,
) -> None:
    """Grant what REQUEST asks for, or other terms for the same app.

    What is given takes the place of what was asked for; the rest is as asked.
    """
    session = OwnerSession()
    name = session.full_name(request)
    asked = session.call(timeout_seconds, lambda api: GrantRequestAPI(api).get(name))
    granted: grant_pb.Grant | None = None
    if terms.changed:
        granted = terms.applied_to(asked.grant, session)
        asked.grant.CopyFrom(granted)
    if not is_confirmed and not consent_text:
        print_fields(request_fields(request_document(asked, session.now)), to_stderr=True)
    version = Agreement(is_confirmed, consent_text).to(session, timeout_seconds)
    grant = session.call(
        timeout_seconds, lambda api: GrantRequestAPI(api).approve(name, granted, version, answer)
    )
    if as_json:
        print_json(grant_document(grant, session.now))
        return
    click.echo(grant.name)
    click.echo(f"{grant.app} may use the key from now on.", err=True)


@requests_group.command(
    "decline", epilog=examples(f"keyturn requests decline {_EXAMPLE} --answer 'Use the team key'")
)
@click.argument("request")
@_answer_option
@json_option
@timeout_option()
def decline(request: str, *, answer: str, as_json: bool, timeout_seconds: float) -> None:
    """Decline REQUEST."""
    session = OwnerSession()
    name = session.full_name(request)
    declined = session.call(timeout_seconds, lambda api: GrantRequestAPI(api).decline(name, answer))
    if as_json:
        print_json(request_document(declined, session.now))
    else:
        click.echo(f"Declined {declined.name}.", err=True)
