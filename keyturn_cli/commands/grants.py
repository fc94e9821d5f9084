"""`keyturn grants`: an owner's consent."""

from __future__ import annotations

import click

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import (
    OwnerSession,
    examples,
    json_option,
    timeout_option,
)
from keyturn_cli.commands.consent import OUTDATED, Agreement, agreement_options
from keyturn_cli.commands.grant_terms import TypedTerms, term_options
from keyturn_cli.printing import print_json, print_table
from keyturn_cli.record_views import GRANT_COLUMNS, grant_document, grant_row
from keyturn_cli.resource_names import owner_name


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
        "  --model 'gpt-4o*' --endpoint chat/completions --usd-per-month 50 --expires 30d",
    ),
)
@click.argument("key")
@click.option("--app", required=True, metavar="SPIFFE_ID", help="The app that may use the key.")
@term_options(are_required=True)
@agreement_options
@json_option
@timeout_option()
def add(
    key: str,
    *,
    app: str,
    terms: TypedTerms,
    is_confirmed: bool,
    consent_text: str,
    as_json: bool,
    timeout_seconds: float,
) -> None:
    """Consent that one app may use KEY.

    It shows the text that you agree to, and asks. Scripts give --yes, or --consent-text VERSION.
    """
    session = OwnerSession()
    full_name, grant = session.full_name(key), terms.grant(session, app)
    version = Agreement(is_confirmed, consent_text).to(session, timeout_seconds)
    created = session.call(timeout_seconds, lambda api: api.create_grant(full_name, grant, version))
    if as_json:
        print_json(grant_document(created, session.now))
    else:
        click.echo(created.name)
        click.echo(f"{created.app} may use {full_name} from now on.", err=True)


@grants_group.command(
    "set",
    epilog=examples(
        "keyturn grants set openai/grants/9396ea8e170ceed3 --model gpt-4o-mini --usd-per-day 5",
        "keyturn grants set openai/grants/9396ea8e170ceed3 --remove expires --yes",
    ),
)
@click.argument("grant_name")
@term_options(are_required=False)
@agreement_options
@json_option
@timeout_option()
def set_(
    grant_name: str,
    *,
    terms: TypedTerms,
    is_confirmed: bool,
    consent_text: str,
    as_json: bool,
    timeout_seconds: float,
) -> None:
    """Change what an active grant allows, from the app's next request.

    What is given takes the place of what was; the rest stays. GRANT_NAME is as listed, or short:
    openai/grants/<id>. What allows more than before needs your consent, as `add` does.
    """
    session = OwnerSession()
    grant, fields = terms.grant(session), terms.changed
    if not fields:
        raise click.UsageError("Say what to change; see --help.")
    grant.name = session.full_name(grant_name)
    agreement = Agreement(is_confirmed, consent_text)

    def update(version: str) -> grant_pb.Grant:
        return session.call(timeout_seconds, lambda api: api.update_grant(grant, fields, version))

    try:
        # Only the key service knows whether it widens, and says so by asking for the consent.
        updated = update(consent_text)
    except CommandError as error:
        if error.reason != OUTDATED or consent_text:
            raise
        updated = update(agreement.to(session, timeout_seconds))
    if as_json:
        print_json(grant_document(updated, session.now))
    else:
        click.echo(f"Changed {updated.name}: it holds from the app's next request.", err=True)


@grants_group.command(
    "list",
    epilog=examples(
        "keyturn grants list", "keyturn grants list openai", "keyturn grants list teams/payments"
    ),
)
@click.argument("key", required=False)
@click.option("--app", default="", metavar="SPIFFE_ID", help="Only the grants of this app.")
@json_option
@timeout_option()
def list_(key: str | None, *, app: str, as_json: bool, timeout_seconds: float) -> None:
    """List the grants on KEY, the oldest first, ended ones included.

    Without KEY those on all of your keys; with an owner's name, such as teams/payments, those on
    all of the owner's.
    """
    session = OwnerSession()
    parent = owner_name(None, session.person) if key is None else session.full_name(key)
    grants = session.call(timeout_seconds, lambda api: api.list_grants(parent, app))
    documents = [grant_document(grant, session.now) for grant in grants]
    if as_json:
        print_json({"grants": documents})
    elif documents:
        print_table(GRANT_COLUMNS, [grant_row(document) for document in documents])
    elif app:
        click.echo(f"{app} has no grants on {parent}: it may not use it.", err=True)
    else:
        click.echo(f"{parent} has no grants: no app may use it.", err=True)


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
