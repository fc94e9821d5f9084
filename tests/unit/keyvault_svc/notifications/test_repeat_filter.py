from __future__ import annotations

from keyvault_svc.notifications.repeat_filter import RepeatFilter
from tests.fakes.fake_clock import FakeClock


def test_the_same_news_is_a_repeat_for_a_minute() -> None:
    clock = FakeClock()
    repeats = RepeatFilter(clock)

    verdicts = [repeats.is_repeat("news")]
    clock.advance(59)
    verdicts.append(repeats.is_repeat("news"))
    clock.advance(1)
    verdicts.append(repeats.is_repeat("news"))

    assert verdicts == [False, True, False]


def test_other_news_is_no_repeat() -> None:
    repeats = RepeatFilter(FakeClock())
    repeats.is_repeat("news")

    assert not repeats.is_repeat("other news")


def test_a_storm_of_news_takes_bounded_room() -> None:
    repeats = RepeatFilter(FakeClock())

    for number in range(20_000):
        repeats.is_repeat(number)

    assert len(repeats._told) == 10_000
    assert repeats.is_repeat(19_999)
