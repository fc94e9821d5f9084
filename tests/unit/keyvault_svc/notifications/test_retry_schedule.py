from __future__ import annotations

import pytest

from keyvault_svc.notifications.retry_schedule import RetrySchedule

SCHEDULE = RetrySchedule()


def test_the_wait_doubles_up_to_its_maximum() -> None:
    waits = [SCHEDULE.delay_seconds(attempts, 1.0) for attempts in range(1, 18)]

    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-3:] == [14_400, 14_400, 14_400]


def test_jitter_takes_up_to_half_of_the_wait_away() -> None:
    assert SCHEDULE.delay_seconds(3, 0.0) == 4
    assert SCHEDULE.delay_seconds(3, 1.0) == 8


def test_all_tries_of_an_event_fit_into_a_day() -> None:
    tries = range(1, SCHEDULE.max_attempts)

    latest = sum(SCHEDULE.delay_seconds(attempts, 1.0) for attempts in tries)

    assert latest / 2 > 10 * 3600
    assert latest < SCHEDULE.max_age_seconds


def test_a_receiver_may_ask_for_a_longer_wait() -> None:
    assert SCHEDULE.delay_seconds(1, 1.0, 120.0) == 120
    assert SCHEDULE.pause_seconds(1, 1.0, 120.0) == 120


def test_a_receiver_cannot_ask_for_a_shorter_wait() -> None:
    assert SCHEDULE.delay_seconds(5, 1.0, 1.0) == 32


@pytest.mark.parametrize("asked", [1e9, float("inf")])
def test_a_receiver_cannot_ask_for_more_than_an_hour(asked: float) -> None:
    assert SCHEDULE.pause_seconds(1, 1.0, asked) == 3600


def test_a_receiver_is_not_left_alone_for_longer_than_a_minute() -> None:
    assert SCHEDULE.pause_seconds(1_000_000, 1.0) == 60


def test_an_event_is_given_up_after_its_last_try_and_after_a_day() -> None:
    assert [SCHEDULE.is_last(attempts) for attempts in (17, 18)] == [False, True]
    assert [SCHEDULE.is_too_old(age) for age in (86_400.0, 86_401.0)] == [False, True]
