"""What holds for any use: the steady is never told, a spike always is."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from keyvault_svc.domain.anomalies.policy import AnomalyKind, Figure
from keyvault_svc.domain.anomalies.rules import Finding
from tests.unit.keyvault_svc.domain.anomalies.use_of_a_grant import (
    FLOORS,
    POLICY,
    UseOfAGrant,
    kinds,
)

QUICK = replace(POLICY, window_days=6, learn_days=3, learn_requests=10)
HOURS = 24 * (2 * QUICK.window_days + QUICK.learn_days)
# Requests in an hour: from one in two weeks to a million.
rates = st.fractions(min_value=Fraction(1, 24 * 14), max_value=10**6, max_denominator=24 * 14)
hours_of_use = st.sets(st.integers(0, 23), min_size=1)


def _use_steadily(
    use: UseOfAGrant, rate: Fraction, tokens: int, error_share: Fraction, hours: set[int]
) -> list[Finding]:
    """Use a grant at *rate* in *hours* of each day; return what is found."""
    found: list[Finding] = []
    served = failed = Fraction(0)
    for hour in range(HOURS):
        use.go_to(hour // 24, hour % 24)
        if hour % 24 not in hours:
            continue
        before, served = served, served + rate
        requests = int(served) - int(before)
        before, failed = failed, failed + requests * error_share
        errors = int(failed) - int(before)
        if requests:
            models = ("gpt-4o",) if errors < requests else ()
            found += use.see(requests, tokens=requests * tokens, errors=errors, models=models)
    return found


@settings(max_examples=100, deadline=None)
@given(
    rate=rates,
    tokens=st.integers(0, 10**6),
    error_share=st.fractions(0, 1, max_denominator=100),
    hours=hours_of_use,
)
def test_steady_use_at_any_rate_is_never_told(
    rate: Fraction, tokens: int, error_share: Fraction, hours: set[int]
) -> None:
    use = UseOfAGrant(QUICK)

    assert _use_steadily(use, rate, tokens, error_share, hours) == []


@settings(max_examples=100, deadline=None)
@given(
    usual=st.integers(1, 10**6),
    more=st.integers(0, 10**6),
    parts=st.integers(1, 5),
    figure=st.sampled_from([Figure.REQUESTS, Figure.TOKENS, Figure.REFUSALS]),
)
def test_a_spike_of_so_many_times_is_always_told_once_it_is_reached(
    usual: int, more: int, parts: int, figure: Figure
) -> None:
    use = UseOfAGrant()
    use.learn(hours=range(10, 12))
    for day in range(10):
        use.go_to(day, 11)
        _see(use, figure, usual)
    usual_hour = use.profile().count(figure)
    use.go_to(10, 11)
    spike = max(FLOORS[figure], POLICY.spike_factor * usual_hour) + more

    told = []
    for part in range(parts):
        share = spike * (part + 1) // parts - spike * part // parts
        told.append(_KINDS[figure] in kinds(_see(use, figure, share)))

    assert told[-1]


def _see(use: UseOfAGrant, figure: Figure, count: int) -> list[Finding]:
    match figure:
        case Figure.REQUESTS:
            return use.see(count)
        case Figure.TOKENS:
            return use.see(tokens=count)
        case _:
            return use.see(refusals=count)


_KINDS = {
    Figure.REQUESTS: AnomalyKind.RATE_SPIKE,
    Figure.TOKENS: AnomalyKind.TOKEN_SPIKE,
    Figure.REFUSALS: AnomalyKind.MANY_REFUSALS,
}
