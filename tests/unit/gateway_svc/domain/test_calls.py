from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.calls import app_of, shaved
from svc_runtime.caller import Caller
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId

BILLING = "spiffe://example.org/app/billing"


def test_the_app_is_the_verified_caller() -> None:
    assert app_of(Caller(BILLING, frozenset({"app"}))) == SpiffeId.parse(BILLING)


def test_without_a_verified_caller_there_is_no_app() -> None:
    with pytest.raises(CallerUnverifiedError):
        app_of(None)


@pytest.mark.parametrize(
    ("seconds_left", "expected"), [(0.0, 0.0), (1.0, 0.95), (4.0, 3.8), (60.0, 59.8)]
)
def test_a_call_gives_up_shortly_before_its_caller(seconds_left: float, expected: float) -> None:
    assert shaved(seconds_left) == pytest.approx(expected)


@settings(max_examples=100, deadline=None)
@given(st.floats(0.001, 3600))
def test_a_call_always_has_most_of_the_time_that_is_left(seconds_left: float) -> None:
    assert seconds_left * 0.94 < shaved(seconds_left) < seconds_left
