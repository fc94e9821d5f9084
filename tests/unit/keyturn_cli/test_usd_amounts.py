from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn_cli.usd_amounts import from_micro, places_of, usd_words


@pytest.mark.parametrize(
    ("micro_usd", "words"),
    [
        (0, "0.00"),
        (1, "0.000001"),
        (10, "0.00001"),
        (120_000, "0.12"),
        (1_000_000, "1.00"),
        (1_234_567_890_000, "1,234,567.89"),
        (2**64 - 1, "18,446,744,073,709.551615"),
    ],
)
def test_an_amount_is_told_exactly_with_two_places_or_as_many_as_it_needs(
    micro_usd: int, words: str
) -> None:
    assert usd_words(from_micro(micro_usd)) == words


def test_amounts_in_one_column_have_the_same_places() -> None:
    amounts = [from_micro(micro_usd) for micro_usd in (1_500_000, 1_250, 0)]
    places = places_of(amounts)

    assert [usd_words(amount, places) for amount in amounts] == ["1.50000", "0.00125", "0.00000"]
    assert places_of([]) == 2


@given(st.lists(st.integers(0, 2**64 - 1), max_size=5))
def test_no_place_is_cut_off(amounts: list[int]) -> None:
    places = places_of(map(from_micro, amounts))

    for amount in amounts:
        told = Decimal(usd_words(from_micro(amount), places).replace(",", ""))
        assert told == Decimal(amount) / 1_000_000
