from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from svc_runtime.vault.retry_budget import RetryBudget


def test_ten_repetitions_are_there_at_once_and_no_more() -> None:
    budget = RetryBudget()

    assert [budget.take() for _ in range(12)] == [True] * 10 + [False] * 2


def test_ten_successes_earn_one_repetition() -> None:
    budget = RetryBudget(burst=1, per_success=0.125)
    budget.take()

    earned = []
    for _ in range(16):
        budget.succeeded()
        earned.append(budget.take())

    assert earned == ([False] * 7 + [True]) * 2


def test_successes_fill_no_more_than_the_bucket() -> None:
    budget = RetryBudget(burst=2)
    for _ in range(1000):
        budget.succeeded()

    assert [budget.take() for _ in range(3)] == [True, True, False]


@given(st.lists(st.booleans()))
def test_repetitions_never_exceed_the_burst_and_a_tenth_of_the_successes(
    is_success: list[bool],
) -> None:
    budget, taken = RetryBudget(), 0
    for success in is_success:
        if success:
            budget.succeeded()
        else:
            taken += budget.take()

    assert taken <= 10 + sum(is_success) / 10
