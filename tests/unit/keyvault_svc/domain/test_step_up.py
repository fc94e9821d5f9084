from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyvault_svc.domain.errors import StepUpRequiredError
from keyvault_svc.domain.step_up import StepUpPolicy
from svc_runtime.caller import Authentication

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLICY = StepUpPolicy(timedelta(minutes=5), amr=("otp", "hwk"), acr=("gold", "silver"))


def _login(
    *, seconds_ago: float | None = 10, amr: tuple[str, ...] = ("pwd", "otp"), acr: str = "silver"
) -> Authentication:
    auth_time = None if seconds_ago is None else NOW - timedelta(seconds=seconds_ago)
    return Authentication(auth_time, frozenset(amr), acr)


@pytest.mark.parametrize("seconds_ago", [0, 10, 300, -30])
@pytest.mark.parametrize("amr", [("pwd", "otp"), ("hwk",)], ids=str)
@pytest.mark.parametrize("acr", ["gold", "silver"])
def test_a_fresh_and_strong_login_will_do(
    seconds_ago: float, amr: tuple[str, ...], acr: str
) -> None:
    POLICY.must_be_fresh(_login(seconds_ago=seconds_ago, amr=amr, acr=acr), NOW)


@pytest.mark.parametrize(
    "authentication",
    [
        pytest.param(_login(seconds_ago=300.1), id="too long ago"),
        pytest.param(_login(seconds_ago=-30.1), id="yet to come, beyond clock skew"),
        pytest.param(_login(seconds_ago=None), id="of an unknown time"),
        pytest.param(_login(amr=()), id="by unknown methods"),
        pytest.param(_login(amr=("pwd",)), id="by a password only"),
        pytest.param(_login(amr=("OTP",)), id="by a method in other letters"),
        pytest.param(_login(acr=""), id="of an unknown level"),
        pytest.param(_login(acr="bronze"), id="of a lower level"),
        pytest.param(_login(acr="gold silver"), id="of two levels in one"),
        pytest.param(Authentication(), id="of which nothing is told"),
    ],
)
def test_any_other_login_must_be_stepped_up(authentication: Authentication) -> None:
    with pytest.raises(StepUpRequiredError):
        POLICY.must_be_fresh(authentication, NOW)


def test_what_a_policy_leaves_empty_is_not_asked_for() -> None:
    policy = StepUpPolicy(timedelta(minutes=5))

    policy.must_be_fresh(_login(amr=(), acr=""), NOW)


def test_the_refusal_says_what_would_do() -> None:
    with pytest.raises(StepUpRequiredError) as caught:
        POLICY.must_be_fresh(Authentication(), NOW)

    assert caught.value.details == {
        "max_age_seconds": "300",
        "amr": "otp hwk",
        "acr": "gold silver",
    }


def test_a_refusal_says_nothing_of_what_is_not_asked_for() -> None:
    with pytest.raises(StepUpRequiredError) as caught:
        StepUpPolicy(timedelta(seconds=90)).must_be_fresh(Authentication(), NOW)

    assert caught.value.details == {"max_age_seconds": "90", "amr": "", "acr": ""}


@given(age=st.integers(min_value=-10_000, max_value=10_000), limit=st.integers(1, 9_000))
def test_no_login_outside_of_its_window_will_do(age: int, limit: int) -> None:
    policy = StepUpPolicy(timedelta(seconds=limit))
    try:
        policy.must_be_fresh(_login(seconds_ago=age), NOW)
    except StepUpRequiredError:
        accepted = False
    else:
        accepted = True

    assert accepted == (age in range(-30, limit + 1))
