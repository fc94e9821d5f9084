"""`keyturn operator`: emergency stops, and the limits of single owners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn_cli.commands.command_line import (
    OwnerSession,
    examples,
    json_option,
    timeout_option,
)
from keyturn_cli.limit_options import single_limit_options
from keyturn_cli.operator_api import OperatorAPI
from keyturn_cli.operator_views import (
    OWNER_LIMITS_COLUMNS,
    SUSPENSION_COLUMNS,
    controls_document,
    owner_limits_document,
    owner_limits_row,
    owner_limits_words,
    suspension_document,
    suspension_row,
)
from keyturn_cli.printing import one_line, print_json, print_table
from keyturn_cli.resource_names import owner_name

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group("operator")
def operator_group() -> None:
    """Stop what must not go on, and limit single owners. For operators; auditors may look.

    SUBJECT is a key or an owner by its whole name (users/alice/keys/openai, teams/payments), an
    app by its SPIFFE ID, or '*' for everything.
    """


@operator_group.command(
    "suspend",
    epilog=examples(
        "keyturn operator suspend users/alice/keys/openai --reason 'leaked, ticket 4711'",
        "keyturn operator suspend '*' --reason 'incident 12'",
    ),
)
@click.argument("subject")
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why, in a line. Operators and auditors see it."
)
@json_option
@timeout_option()
def suspend(subject: str, *, reason: str, as_json: bool, timeout_seconds: float) -> None:
    """Refuse every request with SUBJECT from now on, until it is resumed."""
    session = OwnerSession()
    suspension = session.call(
        timeout_seconds, lambda api: OperatorAPI(api).suspend(subject, reason)
    )
    document = suspension_document(suspension)
    if as_json:
        print_json(document)
        return
    _say(f"Suspended {document['subject']}, by {document['creator']}: {document['reason']}")
    if document["reason"] != reason:
        _say("It was suspended before; the first reason stays.")


@operator_group.command("resume", epilog=examples("keyturn operator resume teams/payments"))
@click.argument("subject")
@json_option
@timeout_option()
def resume(subject: str, *, as_json: bool, timeout_seconds: float) -> None:
    """Let SUBJECT go on. What something wider stops stays stopped."""
    session = OwnerSession()
    was_suspended = session.call(timeout_seconds, lambda api: OperatorAPI(api).resume(subject))
    if as_json:
        print_json({"subject": subject, "was_suspended": was_suspended})
    elif was_suspended:
        _say(f"Resumed {subject}.")
    else:
        _say(f"{subject} was not suspended; `keyturn operator controls` shows what is.")


@operator_group.command("controls", epilog=examples("keyturn operator controls --json"))
@json_option
@timeout_option()
def controls(*, as_json: bool, timeout_seconds: float) -> None:
    """Show what is suspended, and the limits of owners."""
    session = OwnerSession()
    answer = session.call(timeout_seconds, lambda api: OperatorAPI(api).controls())
    document = controls_document(answer)
    if as_json:
        print_json(document)
        return
    if document["suspensions"]:
        print_table(SUSPENSION_COLUMNS, [suspension_row(s) for s in document["suspensions"]])
    else:
        _say("Nothing is suspended.")
    if document["owner_limits"]:
        rows = [owner_limits_row(limits) for limits in document["owner_limits"]]
        print_table(OWNER_LIMITS_COLUMNS, rows)
    others = owner_limits_words(document["default_owner_limits"])
    _say(f"Owners without limits of their own: {others}.")


def _limit_options(command: _Command) -> _Command:
    """Add an option for each limit that there is."""
    for option in reversed(single_limit_options().values()):
        command = option(command)
    return command


@operator_group.command(
    "limits",
    epilog=examples(
        "keyturn operator limits users/alice --usd-per-month 500 --concurrent-calls 20",
        "keyturn operator limits teams/payments --default",
    ),
)
@click.argument("owner")
@_limit_options
@click.option("--unlimited", is_flag=True, help="The owner has no limits.")
@click.option("--default", "is_default", is_flag=True, help="The deployment's limits hold again.")
@json_option
@timeout_option()
def limits(
    owner: str,
    *,
    unlimited: bool,
    is_default: bool,
    as_json: bool,
    timeout_seconds: float,
    **given: Any,  # noqa: ANN401 - the values of the options of limits
) -> None:
    """Set what OWNER may take, over all keys.

    This stands in place of the deployment's limits, and of all that was set before.
    """
    chosen = {name: limit for name, limit in given.items() if limit is not None}
    if [bool(chosen), unlimited, is_default].count(True) != 1:
        raise click.UsageError("Give limits, or --unlimited, or --default.")
    message = None if is_default else limits_pb.Limits(**chosen)
    session = OwnerSession()
    name = owner_name(owner, session.person)
    answer = session.call(
        timeout_seconds, lambda api: OperatorAPI(api).set_owner_limits(name, message)
    )
    document = owner_limits_document(answer)
    if as_json:
        print_json(document)
    else:
        words = owner_limits_words(document["limits"])
        _say(f"Limits of {document['owner']} from now on: {words}.")


def _say(text: str) -> None:
    """Tell a person *text*, which may hold what others wrote."""
    click.echo(one_line(text), err=True)
