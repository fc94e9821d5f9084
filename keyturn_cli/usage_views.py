"""Usage, and what limits leave, as documents with stable names, as rows of tables and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, TypedDict

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn_cli.limit_views import kind_words
from keyturn_cli.printing import one_line
from keyturn_cli.record_views import for_people, iso_time
from keyturn_cli.usage_sums import Grouping, Used, sums, total
from keyturn_cli.usd_amounts import from_micro, places_of, usd_words

USED_COLUMNS: Final = ("requests", "input tokens", "output tokens", "USD")
LIMIT_COLUMNS: Final = ("limit of", "limit", "used", "held", "most", "taken", "resets")
LIMIT_NUMBERS: Final = frozenset({"used", "held", "most", "taken"})

_FORMULA: Final = ("=", "+", "-", "@")


class UsedDocument(TypedDict):
    """What some requests took, for programs. `cost_micro_usd` is in millionths of a USD."""

    request_count: int
    input_tokens: int
    output_tokens: int
    cost_micro_usd: int
    unpriced_request_count: int


class GroupDocument(UsedDocument):
    """What the requests of one day, key, app, model or member took, for programs."""

    group: str


class StandingDocument(TypedDict):
    """How far a limit is used up, for programs. `unit` tells what the amounts are."""

    scope: str
    subject: str
    kind: str
    unit: str
    limit: int
    used: int
    held: int
    remaining: int
    end_time: str | None


class UsageDocument(TypedDict):
    """What was used and what is left, for programs. Days are in UTC, both included."""

    name: str
    since_date: str
    until_date: str
    by: str
    usage: list[GroupDocument]
    total: UsedDocument
    limits: list[StandingDocument]


def usage_document(
    name: str, days: tuple[date, date], by: Grouping, usage: usage_pb.GetUsageResponse
) -> UsageDocument:
    """Return *usage* of *name* on *days*, the first and the last, for programs."""
    since, until = days
    return UsageDocument(
        name=name,
        since_date=since.isoformat(),
        until_date=until.isoformat(),
        by=by.value,
        usage=[
            GroupDocument(group=group, **_used(used))
            for group, used in sums(usage.rows, by).items()
        ],
        total=_used(total(usage.rows)),
        limits=[standing_document(standing) for standing in usage.standings],
    )


def standing_document(standing: limits_pb.LimitStanding) -> StandingDocument:
    """Return *standing* for programs."""
    kind = _kind(standing)
    return StandingDocument(
        scope=limits_pb.LimitScope.Name(standing.scope).removeprefix("LIMIT_SCOPE_").lower(),
        subject=standing.subject,
        kind=kind,
        unit=_unit(kind),
        limit=standing.limit,
        used=standing.used,
        held=standing.held,
        remaining=standing.remaining,
        end_time=iso_time(standing.end_time) if standing.HasField("end_time") else None,
    )


def usage_rows(groups: Mapping[str, Used]) -> list[list[str]]:
    """Return *groups* and their sum as rows under what they are by and `USED_COLUMNS`."""
    whole = sum(groups.values(), Used())
    places = places_of(from_micro(used.micro_usd) for used in groups.values())
    return [
        [
            group,
            f"{used.requests:,}",
            f"{used.input_tokens:,}",
            f"{used.output_tokens:,}",
            usd_words(from_micro(used.micro_usd), places),
        ]
        for group, used in (*groups.items(), ("total", whole))
    ]


def usage_csv(rows: Iterable[usage_pb.UsageRow], by: Grouping) -> str:
    """Return the sums of *rows* as CSV, with a line of names.

    Names of models are as apps wrote them: what a spreadsheet would take for a formula begins with
    an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    counts = ("requests", "input_tokens", "output_tokens", "usd", "unpriced_requests")
    writer.writerow((by.value, *counts))
    for group, used in sums(rows, by).items():
        cell = one_line(group)
        writer.writerow(
            (
                f"'{cell}" if cell.lstrip().startswith(_FORMULA) else cell,
                used.requests,
                used.input_tokens,
                used.output_tokens,
                f"{from_micro(used.micro_usd):f}",
                used.unpriced_requests,
            )
        )
    return text.getvalue()


def standing_row(standing: limits_pb.LimitStanding) -> list[str]:
    """Return *standing* as a row under `LIMIT_COLUMNS`."""
    document = standing_document(standing)
    amounts = [document["used"], document["held"], document["limit"]]
    if document["unit"] == "micro_usd":
        in_usd = [from_micro(amount) for amount in amounts]
        told = [usd_words(amount, places_of(in_usd)) for amount in in_usd]
    else:
        told = [f"{amount:,}" for amount in amounts]
    return [
        standing.subject,
        kind_words(document["kind"]),
        *told,
        share(standing),
        for_people(document["end_time"]),
    ]


def unpriced_words(used: Used) -> str:
    """Return what is to be said of requests without a price; empty where there are none."""
    if not used.unpriced_requests:
        return ""
    of_all = f"{used.unpriced_requests:,} of {used.requests:,} requests"
    return f"Not in the USD: {of_all}, which have no known price."


def share(standing: limits_pb.LimitStanding) -> str:
    """Return how much of the limit is used or held, in whole percent, rounded down."""
    taken = standing.used + standing.held
    percent = 100 * taken // standing.limit
    return "<1%" if taken and not percent else f"{percent:,}%"


def _used(used: Used) -> UsedDocument:
    return UsedDocument(
        request_count=used.requests,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cost_micro_usd=used.micro_usd,
        unpriced_request_count=used.unpriced_requests,
    )


def _kind(standing: limits_pb.LimitStanding) -> str:
    return limits_pb.LimitKind.Name(standing.kind).removeprefix("LIMIT_KIND_").lower()


def _unit(kind: str) -> str:
    if kind.startswith("usd"):
        return "micro_usd"
    return "tokens" if kind.startswith("tokens") else "requests"
