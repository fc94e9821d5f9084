"""What `keyturn audit report` prints: a table for people, documents for programs, CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from keyturn_cli.audit.log_files import UnreadLog
from keyturn_cli.audit.options import SECOND_US
from keyturn_cli.audit.report import Dimension, ReportRow, UsageReport
from keyturn_cli.commands.audit.verify_views import iso_time
from keyturn_cli.printing import print_table
from keyturn_cli.spreadsheet_csv import csv_text

_REST: Final = "(all others)"
_FROM_VAULT: Final = ("uses", "refused", "first", "last")
_FROM_SERVICES: Final = ("input tokens", "output tokens", "USD", "models", "reasons")
_NUMBERS: Final = frozenset({"uses", "refused", "input tokens", "output tokens", "USD"})
_CSV_COLUMNS: Final = (
    *("uses", "refused", "irregular", "first", "last", "settled", "unsettled"),
    *("input_tokens", "output_tokens", "usd", "unpriced", "models", "reasons"),
)


def print_report(report: UsageReport) -> None:
    """Print *report* for people. The owner is told by the key if there is one."""
    shown = [
        at
        for at, dimension in enumerate(report.by)
        if dimension is not Dimension.OWNER or Dimension.KEY not in report.by
    ]
    columns = [report.by[at].value for at in shown]
    counts = (*_FROM_VAULT, *(_FROM_SERVICES if report.has_service_logs else ()))
    rows = [
        [*(group[at] for at in shown), *_counts(row, with_services=report.has_service_logs)]
        for group, row in _groups(report)
    ]
    total = ["total", *[""] * (len(shown) - 1)]
    rows.append([*total, *_counts(report.total, with_services=report.has_service_logs)])
    print_table([*columns, *counts], rows, numbers=_NUMBERS)


def report_csv(report: UsageReport) -> str:
    """Return *report* as CSV. What only services' logs tell is empty without one."""
    names = [dimension.value for dimension in report.by]
    return csv_text(
        (*names, *_CSV_COLUMNS),
        (
            (*group, *_csv_cells(row, with_services=report.has_service_logs))
            for group, row in _groups(report)
        ),
    )


def report_document(
    report: UsageReport, unread: Sequence[UnreadLog], bad_vault_line_count: int
) -> dict[str, Any]:
    """Return *report* for programs. What only services' logs tell is null without one."""
    with_services = report.has_service_logs
    return {
        "by": [dimension.value for dimension in report.by],
        "rows": [
            {
                **{name.value: word for name, word in zip(report.by, group, strict=True)},
                **_row_document(row, with_services=with_services),
            }
            for group, row in report.sorted_rows()
        ],
        "rest": _row_document(report.rest, with_services=with_services) if report.rest else None,
        "total": _row_document(report.total, with_services=with_services),
        "unnamed_count": report.unnamed_count,
        "bad_vault_line_count": bad_vault_line_count,
        "unread": [{"log": log.name, "reason": log.reason} for log in unread],
    }


def warnings_of(report: UsageReport, bad_vault_line_count: int) -> Iterator[str]:
    """Yield what a reader of *report* must know."""
    total = report.total
    if total.irregular_count:
        yield (
            f"{total.irregular_count:,} openings were past the rules: "
            "`keyturn audit verify` tells how."
        )
    if report.unnamed_count:
        yield f"{report.unnamed_count:,} of all openings name no key: they may be of any."
    if bad_vault_line_count:
        yield (
            f"{bad_vault_line_count:,} lines of Vault's audit logs cannot be read and were "
            "skipped: evidence may be missing."
        )
    if report.rest:
        yield (
            f"There are more than {len(report.rows):,} rows: the last one holds the sum of all "
            "others. Choose by --owner, --key, --app, --since and --until, or fewer --by."
        )
    if total.unsettled_count:
        yield (
            f"{total.unsettled_count:,} leases were never settled: their tokens and USD are upper "
            "bounds."
        )
    if total.unpriced_count:
        yield (
            f"Not in the USD: {total.unpriced_count:,} of {total.settled_count:,} settled leases, "
            "which have no known price."
        )


def _groups(report: UsageReport) -> Iterator[tuple[tuple[str, ...], ReportRow]]:
    """Yield all rows, and the rest if there is one."""
    yield from report.sorted_rows()
    if report.rest is not None:
        yield (_REST, *[""] * (len(report.by) - 1)), report.rest


def _counts(row: ReportRow, *, with_services: bool) -> list[str]:
    told = [f"{row.opened_count:,}", f"{row.refused_count:,}"]
    told += [_second(row.first_us), _second(row.last_us)]
    if with_services:
        told += [f"{row.input_tokens:,}", f"{row.output_tokens:,}", _plain(row.usd)]
        told += [_words(row.models), _words(row.reasons)]
    return told


def _csv_cells(row: ReportRow, *, with_services: bool) -> list[str | int]:
    document = _row_document(row, with_services=with_services)
    document["models"] = _words(row.models)
    document["reasons"] = _words(row.reasons)
    return ["" if value is None else value for value in document.values()]


def _row_document(row: ReportRow, *, with_services: bool) -> dict[str, Any]:
    """Return *row* for programs, in the order of the columns of CSV."""
    told: dict[str, Any] = {
        "settled_count": row.settled_count,
        "unsettled_count": row.unsettled_count,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": _plain(row.usd),
        "unpriced_count": row.unpriced_count,
        "models": dict(row.models),
        "reasons": dict(row.reasons),
    }
    return {
        "use_count": row.opened_count,
        "refused_count": row.refused_count,
        "irregular_count": row.irregular_count,
        "first_time": iso_time(row.first_us) if row.first_us else None,
        "last_time": iso_time(row.last_us) if row.last_us else None,
        **(told if with_services else dict.fromkeys(told)),
    }


def _second(time_us: int) -> str:
    return iso_time(time_us // SECOND_US * SECOND_US).replace(".000Z", "Z") if time_us else ""


def _plain(usd: Decimal) -> str:
    return f"{usd.normalize():f}" if usd else "0"


def _words(words: Counter[str]) -> str:
    return ", ".join(f"{word} ({count:,})" for word, count in words.most_common())
