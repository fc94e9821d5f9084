from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from keyvault_svc.domain.prices import ModelPrice, PriceList
from keyvault_svc.domain.usage import Usage

CHAT = ModelPrice(input=Decimal("2.5"), cached_input=Decimal("1.25"), output=Decimal(10))
PRICES = PriceList(
    date(2026, 1, 1),
    {
        "gpt-4o": CHAT,
        "gpt-4o-mini": ModelPrice(input=Decimal("0.15")),
        "ft:gpt-4o": ModelPrice(input=Decimal(4)),
        "whisper-1": ModelPrice(audio_minute=Decimal("0.006")),
        "gpt-image-1": ModelPrice(image=Decimal("0.04")),
    },
)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(1_000_000, 0, model="gpt-4o"), "2.500000"),
        (Usage(0, 1_000_000, model="gpt-4o"), "10.000000"),
        (Usage(1_000_000, 0, 400_000, model="gpt-4o"), "2.000000"),
        (Usage(10, 0, 400, model="gpt-4o"), "0.000013"),
        (Usage(1_000_000, 0, 1_000_000, model="gpt-4o-mini"), "0.150000"),
        (Usage(audio_seconds=90.0, model="whisper-1"), "0.009000"),
        (Usage(images=3, model="gpt-image-1"), "0.120000"),
        (Usage(model="gpt-4o"), "0.000000"),
    ],
    ids=range(8),
)
def test_a_request_costs_what_the_list_says(usage: Usage, cost: str) -> None:
    assert str(PRICES.cost(usage)) == cost


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-0806", "gpt-4o-latest"])
def test_a_price_covers_the_dated_states_of_its_model(model: str) -> None:
    assert PRICES.price_of(model) is CHAT


def test_a_fine_tuned_model_is_priced_by_its_base() -> None:
    assert PRICES.price_of("ft:gpt-4o-2024-08-06:org::id") == ModelPrice(input=Decimal(4))


@pytest.mark.parametrize("model", ["", "gpt", "gpt-4o-realtime", "gpt-4o-mini-x", "ft:o1:org::id"])
def test_a_model_that_the_list_does_not_know_has_no_cost(model: str) -> None:
    assert PRICES.cost(Usage(1, 1, model=model)) is None
