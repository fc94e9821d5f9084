"""A year of ordinary use under the rules as they are shipped: how often owners are told."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, TypeAlias

import pytest

from keyvault_svc.anomaly_settings import AnomalySettings
from keyvault_svc.domain.anomalies.policy import AnomalyKind
from tests.unit.keyvault_svc.domain.anomalies.use_of_a_grant import UseOfAGrant

SATURDAY: Final = 5
FIRST: Final = date(2026, 1, 1)
DAYS: Final = 396
# Of Central Europe: an hour of the clock is one of UTC less in summer.
SUMMER: Final = (date(2026, 3, 29), date(2026, 10, 25))

Requests: TypeAlias = Callable[[random.Random, date, int], int]
"""How many requests there are in an hour of a day, in UTC."""


def _office(chance: random.Random, day: date, hour: int) -> int:
    """Return some 40 requests thrice a weekday, by the clock; none in a vacation."""
    by_the_clock = hour + (2 if SUMMER[0] <= day < SUMMER[1] else 1)
    is_away = date(2026, 8, 3) <= day < date(2026, 8, 31)
    is_closed = is_away or day.weekday() >= SATURDAY or by_the_clock not in (9, 12, 15)
    return 0 if is_closed else max(1, round(chance.gauss(40, 12)))


def _growing(chance: random.Random, day: date, hour: int) -> int:
    """Return a tenth more each week, for 40 weeks."""
    return round(_office(chance, day, hour) * math.pow(1.1, min((day - FIRST).days / 7, 40)))


def _is_last_weekday(day: date) -> bool:
    later = [day + timedelta(days) for days in range(1, 4)]
    rest = [day for day in later if day.weekday() < SATURDAY]
    return day.weekday() < SATURDAY and rest[0].month != day.month


def _at_month_end(_chance: random.Random, day: date, hour: int) -> int:
    return 5000 if _is_last_weekday(day) and hour == 20 else 0


def _on_first_mondays(_chance: random.Random, day: date, hour: int) -> int:
    return 5000 if (day.weekday(), hour) == (0, 6) and day.day <= 7 else 0


def _weekly(_chance: random.Random, day: date, hour: int) -> int:
    return 2000 if (day.weekday(), hour) == (6, 2) else 0


def _busy_month_end(chance: random.Random, day: date, hour: int) -> int:
    return _office(chance, day, hour) * (10 if _is_last_weekday(day) else 1)


def _both(one: Requests, other: Requests) -> Requests:
    return lambda chance, day, hour: one(chance, day, hour) + other(chance, day, hour)


@pytest.mark.parametrize(
    ("requests", "days_told"),
    [
        pytest.param(_office, 0, id="weekdays"),
        pytest.param(_growing, 0, id="weekdays, ever more"),
        pytest.param(_weekly, 0, id="a weekly job"),
        pytest.param(_at_month_end, 0, id="a job on the last weekday of a month"),
        pytest.param(_on_first_mondays, 0, id="a job on the first Monday of a month"),
        pytest.param(_both(_office, _weekly), 2, id="weekdays and a weekly job"),
        pytest.param(_both(_office, _at_month_end), 2, id="weekdays and a monthly job"),
        pytest.param(_busy_month_end, 2, id="weekdays, and more at the end of a month"),
    ],
)
def test_a_year_of_ordinary_use_is_told_on_two_days_at_most(
    requests: Requests, days_told: int
) -> None:
    assert len(_told(requests)) <= days_told


def test_what_is_new_in_a_year_of_ordinary_use_is_told() -> None:
    def once(_chance: random.Random, day: date, hour: int) -> int:
        return 1000 if (day, hour) == (date(2026, 9, 3), 3) else 0

    told = _told(_both(_office, once))

    assert told == {
        date(2026, 9, 3): {
            AnomalyKind.RATE_SPIKE,
            AnomalyKind.TOKEN_SPIKE,
            AnomalyKind.UNUSUAL_HOUR,
        }
    }


def _told(requests: Requests) -> dict[date, set[AnomalyKind]]:
    """Return what is found in a year and a month of *requests*, by day."""
    chance = random.Random(1)  # noqa: S311 - the same year each time
    use = UseOfAGrant(AnomalySettings().policy(), FIRST.toordinal())
    told: dict[date, set[AnomalyKind]] = {}
    for number in range(DAYS):
        day = FIRST + timedelta(number)
        for hour in range(24):
            use.hour = day.toordinal() * 24 + hour
            if count := requests(chance, day, hour):
                found = use.see(count, tokens=count * 600, models=("gpt-4o",))
                for finding in found:
                    told.setdefault(day, set()).add(finding.kind)
    return told
