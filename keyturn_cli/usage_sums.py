"""Sums of usage, by day, key, app, model or member."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Self

from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb


class Grouping(StrEnum):
    """By what usage is summed up: the fields of a row that say what it is of."""

    DAY = "day"
    KEY = "key"
    APP = "app"
    MODEL = "model"
    MEMBER = "member"

    def of(self, row: usage_pb.UsageRow) -> str:
        """Return what *row* is of."""
        word: str = getattr(row, "date" if self is Grouping.DAY else self.value)
        return word


@dataclass(frozen=True, slots=True)
class Used:
    """What some requests took, summed up.

    Attributes:
        micro_usd: Millionths of a USD, of the requests whose price is known.
        unpriced_requests: Requests whose price is not known.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    micro_usd: int = 0
    unpriced_requests: int = 0

    @classmethod
    def of(cls, row: usage_pb.UsageRow) -> Self:
        """Return what *row* says."""
        return cls(
            row.request_count,
            row.input_tokens,
            row.output_tokens,
            row.cost_micro_usd,
            row.unpriced_request_count,
        )

    def __add__(self, other: Used) -> Used:
        return Used(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Used)))


def total(rows: Iterable[usage_pb.UsageRow]) -> Used:
    """Return the sum of all *rows*."""
    return sum((Used.of(row) for row in rows), Used())


def sums(rows: Iterable[usage_pb.UsageRow], by: Grouping) -> dict[str, Used]:
    """Return the sums of *rows*: days in their order, all else from the most expensive."""
    found: dict[str, Used] = {}
    for row in rows:
        group = by.of(row)
        found[group] = found.get(group, Used()) + Used.of(row)
    if by is Grouping.DAY:
        return dict(sorted(found.items()))
    return dict(sorted(found.items(), key=lambda item: (*_size(item[1]), item[0])))


def _size(used: Used) -> tuple[int, int, int]:
    tokens = used.input_tokens + used.output_tokens
    return (-used.micro_usd, -tokens, -used.requests)
