"""`keyturn usage`: what was used, and what limits leave."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta
from typing import Final

import click

from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn_cli.commands.command_line import (
    OwnerSession,
    examples,
    json_option,
    timeout_option,
)
from keyturn_cli.printing import one_line, print_json, print_table
from keyturn_cli.resource_names import owner_name
from keyturn_cli.usage_sums import Grouping, sums, total
from keyturn_cli.usage_views import (
    LIMIT_COLUMNS,
    LIMIT_NUMBERS,
    USED_COLUMNS,
    standing_row,
    unpriced_words,
    usage_csv,
    usage_document,
    usage_rows,
)

_MAX_DAYS: Final = 366
_DAY: Final = click.DateTime(formats=["%Y-%m-%d"])
_MONTH: Final = click.DateTime(formats=["%Y-%m"])


@click.command(
    "usage",
    epilog=examples(
        "keyturn usage",
        "keyturn usage openai --by model --days 7",
        "keyturn usage teams/payments --by member --month 2027-01",
        "keyturn usage users/alice --since 2027-01-01 --until 2027-03-31 --csv",
    ),
)
@click.argument("name", required=False)
@click.option("--since", type=_DAY, metavar="DAY", help="First day, such as 2027-01-31.")
@click.option("--until", type=_DAY, metavar="DAY", help="Last day. Without it: today.")
@click.option(
    "--days", type=click.IntRange(1, _MAX_DAYS), metavar="N", help="The last N days, with today."
)
@click.option("--month", type=_MONTH, metavar="MONTH", help="One month, such as 2027-01.")
@click.option(
    "--by",
    type=click.Choice([grouping.value for grouping in Grouping]),
    default=Grouping.DAY.value,
    show_default=True,
    help="What to sum up by.",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print the sums as CSV, for spreadsheets.")
@timeout_option()
def usage_command(  # noqa: PLR0913 - one parameter per option, as click wants it
    name: str | None,
    *,
    since: datetime | None,
    until: datetime | None,
    days: int | None,
    month: datetime | None,
    by: str,
    as_json: bool,
    as_csv: bool,
    timeout_seconds: float,
) -> None:
    """Show what was used, and how far limits are used up now.

    NAME is an owner (teams/payments), or a key by its whole name or short: openai. Without it, all
    of your keys. Days are those of UTC; without any, it is this month. Auditors and operators may
    look at every owner.
    """
    if as_json and as_csv:
        raise click.UsageError("Give --json or --csv, not both.")
    if (since or until, days, month).count(None) < 2:  # noqa: PLR2004 - all but one are absent
        raise click.UsageError("Give --since and --until, or --days, or --month.")
    session = OwnerSession()
    asked = owner_name(None, session.person) if name is None else session.full_name(name)
    first, last = _span(session.now.date(), since, until, days, month)
    grouping = Grouping(by)
    usage = session.call(timeout_seconds, lambda api: api.get_usage(asked, first, last))
    if as_json:
        print_json(usage_document(asked, (first, last), grouping, usage))
    elif as_csv:
        click.echo(usage_csv(usage.rows, grouping), nl=False)
    else:
        _say(f"{asked}, from {first} to {last}, in UTC:")
        _print_tables(usage, grouping)
    if unpriced := unpriced_words(total(usage.rows)):
        _say(unpriced)


def _print_tables(usage: usage_pb.GetUsageResponse, by: Grouping) -> None:
    if usage.rows:
        rows = usage_rows(sums(usage.rows, by))
        print_table((by.value, *USED_COLUMNS), rows, numbers=USED_COLUMNS)
    else:
        _say("Nothing was used.")
    if not usage.standings:
        _say("No limits hold.")
        return
    if usage.rows:
        click.echo()
    rows = [standing_row(standing) for standing in usage.standings]
    print_table(LIMIT_COLUMNS, rows, numbers=LIMIT_NUMBERS)


def _span(
    today: date,
    since: datetime | None,
    until: datetime | None,
    days: int | None,
    month: datetime | None,
) -> tuple[date, date]:
    """Return the first and the last day that are asked for.

    Raises:
        click.UsageError: They are in no order, or too many.
    """
    if days is not None:
        return today - timedelta(days=days - 1), today
    if month is not None:
        _, length = monthrange(month.year, month.month)
        return month.date(), month.date().replace(day=length)
    last = until.date() if until else today
    first = since.date() if since else last.replace(day=1)
    if not timedelta() <= last - first <= timedelta(days=_MAX_DAYS):
        raise click.UsageError(
            f"The last day must not be before the first, and at most {_MAX_DAYS} days after it."
        )
    return first, last


def _say(text: str) -> None:
    click.echo(one_line(text), err=True)
