"""Messages of usage to domain types and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final
from urllib.parse import quote, unquote

from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyvault_svc.domain.limit_store import UsageRow
from keyvault_svc.domain.names import GrantName, KeyName, OwnerName
from keyvault_svc.domain.usage_report import RowPlace, UsageReport
from keyvault_svc.rpc.limit_messages import standing_message
from svc_runtime.service_error import InvalidFieldError

# With the standings, of which there are at most 2,000, a response stays below 1 MiB.
_PAGE_BYTES: Final = 256 * 1024
_KEYS: Final = "/keys/"  # in the name of a key, and not in that of an owner
_TOKEN_PARTS: Final = 6


def owner_or_key(field: str, unverified: str) -> OwnerName | KeyName:
    """Return the owner or the key that *unverified* names.

    Raises:
        InvalidFieldError: It names neither.
    """
    if _KEYS in unverified:
        return KeyName.parse(unverified, field)
    return OwnerName.parse(unverified, field)


def optional_date(field: str, unverified: str) -> date | None:
    """Return the day that *unverified* says; None where it is empty.

    Raises:
        InvalidFieldError: It is none.
    """
    if not unverified:
        return None
    try:
        day = date.fromisoformat(unverified)
    except ValueError:
        day = None
    if day is None or day.isoformat() != unverified:  # other ISO forms are not in the contract
        raise InvalidFieldError(field, "must be a day such as 2027-01-31")
    return day


def place_of_token(unverified: str) -> RowPlace | None:
    """Return the last row that the caller has; None where *unverified* is empty.

    Raises:
        InvalidFieldError: It is none of `report_page`'s tokens.
    """
    if not unverified:
        return None
    day, *words = (unquote(part) for part in unverified.split("/"))
    try:
        if 1 + len(words) == _TOKEN_PARTS:
            return RowPlace(date.fromisoformat(day), *words)
    except ValueError:
        pass
    raise InvalidFieldError("page_token", "must be a next_page_token, as it was returned")


def report_page(report: UsageReport) -> usage_pb.GetUsageResponse:
    """Return the message that tells *report*: as many rows as fit, and a token for the rest."""
    page = usage_pb.GetUsageResponse(
        standings=[standing_message(report.owner, standing) for standing in report.standings]
    )
    page.rows.extend(_fitting(report))
    if len(page.rows) < len(report.rows):
        page.next_page_token = _token(RowPlace.of(report.rows[len(page.rows) - 1]))
    return page


def _fitting(report: UsageReport) -> Sequence[usage_pb.UsageRow]:
    messages: list[usage_pb.UsageRow] = []
    size = 0
    for row in report.rows:
        message = _row_message(report.owner, row)
        size += message.ByteSize()
        if messages and size > _PAGE_BYTES:
            break
        messages.append(message)
    return messages


def _row_message(owner: OwnerName, row: UsageRow) -> usage_pb.UsageRow:
    key = KeyName(owner, row.key_id)
    return usage_pb.UsageRow(
        date=row.day.isoformat(),
        key=str(key),
        grant=str(GrantName(key, row.grant_id)),
        app=row.app,
        model=row.model,
        member=row.member,
        request_count=row.requests,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost_micro_usd=row.micro_usd,
        unpriced_request_count=row.unpriced_requests,
    )


def _token(place: RowPlace) -> str:
    words = (place.key_id, place.grant_id, place.app, place.model, place.member)
    return "/".join(quote(word, safe="") for word in (place.day.isoformat(), *words))
