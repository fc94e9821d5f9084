from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from keyvault_svc.consent_settings import CeilingSettings, ConsentSettings
from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.limits import Limits


def test_without_settings_there_is_no_ceiling_and_the_text_that_comes_along() -> None:
    assert CeilingSettings().ceilings() == Ceilings()
    assert "How to withdraw" in ConsentSettings().load().text


def test_ceilings_are_what_the_settings_say() -> None:
    settings = CeilingSettings.model_validate(
        {
            "max_grant_lifetime_days": 90,
            "models": ["gpt-4o*"],
            "endpoints": ["chat", "embeddings"],
            "limits": {"usd_per_month": "50", "tokens_per_day": 1_000_000},
        }
    )

    assert settings.ceilings() == Ceilings(
        timedelta(days=90),
        ("gpt-4o*",),
        ("chat", "embeddings"),
        Limits(usd_per_month=Decimal(50), tokens_per_day=1_000_000),
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"max_grant_lifetime_days": -1},
        {"models": ["gpt 4"]},
        {"endpoints": ["/v1/chat"]},
        {"limits": {"usd_per_month": "-1"}},
        {"limits": {"concurrent_calls": 0}},
        {"limits": {"concurrent_calls": 10_000_000}},
        {"limits": {"bananas_per_day": 3}},
    ],
    ids=str,
)
def test_a_ceiling_that_no_grant_could_have_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CeilingSettings.model_validate(settings)


def test_the_operator_names_the_text_and_its_version(tmp_path: Path) -> None:
    file = tmp_path / "consent.txt"
    file.write_text("Our own words.", encoding="utf-8")

    consent = ConsentSettings(text_file=file, version="2027-01").load()

    assert (consent.version, consent.text) == ("2027-01", "Our own words.")
