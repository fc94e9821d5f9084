"""Amounts in USD, as people read them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

_FEWEST_PLACES: Final = 2
_MOST_PLACES: Final = 6


def from_micro(micro_usd: int) -> Decimal:
    """Return millionths of a USD as USD."""
    return Decimal(micro_usd).scaleb(-_MOST_PLACES)


def places_of(amounts: Iterable[Decimal]) -> int:
    """Return how many decimal places, 2 to 6, tell all *amounts* to the millionth."""
    places = _FEWEST_PLACES
    for amount in amounts:
        while places < _MOST_PLACES and amount != round(amount, places):
            places += 1
    return places


def usd_words(amount: Decimal, places: int | None = None) -> str:
    """Return *amount* with so many decimal places, those that it needs by default."""
    return f"{amount:,.{places_of([amount]) if places is None else places}f}"
