from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from keyvault_svc.domain.prices import ModelPrice
from keyvault_svc.price_file import load_prices
from svc_runtime.settings_models import SettingsError


def _refusal(folder: Path, text: str) -> str:
    path = folder / "prices.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_prices(path)
    return str(caught.value)


def test_a_list_comes_along() -> None:
    prices = load_prices(None)

    price = prices.price_of("gpt-4o-mini-2024-07-18")
    assert price is not None
    assert price.output > price.input > 0
    assert prices.as_of >= date(2025, 1, 1)


def test_a_list_of_the_operators_is_read_exactly(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('date = 2026-02-03\n[models]\n"m" = { input = 0.1, image = 1 }\n', "utf-8")
    prices = load_prices(path)

    assert prices.as_of == date(2026, 2, 3)
    assert prices.models == {"m": ModelPrice(input=Decimal("0.1"), image=Decimal(1))}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("date = ", "is not TOML"),
        ("[models]", "date"),
        ("date = 2026-01-01", "models"),
        ('date = 2026-01-01\n[models]\n"m" = { input = -1 }', "models.m.input"),
        ('date = 2026-01-01\n[models]\n"m" = { inptu = 1 }', "models.m.inptu"),
        ('date = 2026-01-01\n[models]\n"m" = { input = nan }', "models.m.input"),
        ('date = "soon"\n[models]', "date"),
    ],
)
def test_a_list_that_is_none_is_refused_by_what_is_wrong(
    tmp_path: Path, text: str, problem: str
) -> None:
    refusal = _refusal(tmp_path, text)

    assert refusal.startswith("prices_file: ")
    assert problem in refusal


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_prices(tmp_path / "prices.toml")
