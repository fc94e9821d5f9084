from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc_runtime.vault.token_keeper import backoff_seconds, renewal_delay_seconds

JITTER = st.floats(min_value=0, max_value=1)


@pytest.mark.parametrize(
    ("failures", "expected"), [(1, 0.2), (2, 0.4), (3, 0.8), (5, 3.2), (6, 5.0), (10_000, 5.0)]
)
def test_the_wait_doubles_up_to_five_seconds(failures: int, expected: float) -> None:
    assert backoff_seconds(failures, 1) == pytest.approx(expected)


@given(failures=st.integers(min_value=1), jitter=JITTER)
def test_the_wait_is_never_less_than_half(failures: int, jitter: float) -> None:
    assert backoff_seconds(failures, 0) <= backoff_seconds(failures, jitter)
    assert backoff_seconds(failures, 0) * 2 == backoff_seconds(failures, 1)


@given(ttl_seconds=st.integers(min_value=1, max_value=10**9), jitter=JITTER)
def test_a_token_is_renewed_at_two_thirds_of_its_ttl_or_somewhat_earlier(
    ttl_seconds: int, jitter: float
) -> None:
    assert 0.59 < renewal_delay_seconds(ttl_seconds, jitter) / ttl_seconds < 0.67


def test_a_token_that_never_expires_is_never_renewed() -> None:
    assert renewal_delay_seconds(0, 0.5) == math.inf
