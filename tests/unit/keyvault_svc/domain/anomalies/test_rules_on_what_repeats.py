from __future__ import annotations

from keyvault_svc.domain.anomalies.policy import AnomalyKind
from tests.unit.keyvault_svc.domain.anomalies.use_of_a_grant import (
    UseOfAGrant,
    kinds,
    learned,
)

SPIKE = AnomalyKind.RATE_SPIKE


def test_a_spike_of_one_hour_does_not_make_the_next_one_normal() -> None:
    use = learned()
    assert kinds(use.see(1000)) == [SPIKE]
    use.go_to(11, 10)

    assert kinds(use.see(1000)) == [SPIKE]


def test_what_came_on_two_days_is_normal_from_then_on() -> None:
    use = learned()
    for day in (10, 11):
        use.go_to(day, 10)
        use.see(1000)
    use.go_to(12, 10)

    assert use.see(1000) == []


def test_what_was_normal_counts_no_longer_once_it_is_out_of_the_window() -> None:
    use = UseOfAGrant()
    use.learn(days=2, requests=1000)
    for day in range(2, 20):
        use.go_to(day, 10)
        use.see(10, models=("gpt-4o",))
    use.go_to(20, 10)

    assert kinds(use.see(1000)) == [SPIKE]


def test_of_a_grant_that_often_comes_from_new_networks_none_is_told() -> None:
    use = learned()
    told = []
    for day in range(10, 18):
        use.go_to(day, 10)
        told.append(kinds(use.see(1, networks=(f"192.0.{day}.0/24",))))

    assert told == [[AnomalyKind.NEW_NETWORK]] * 5 + [[]] * 3


def test_an_app_that_never_hears_of_the_end_is_told_on_two_days_and_when_it_calls_more() -> None:
    use = UseOfAGrant()
    told = []
    for day in range(10):
        use.go_to(day)
        told.append(bool(use.see(late=(12, "revoked"))))
    assert told == [True] * 2 + [False] * 8
    use.go_to(10)

    (found,) = use.see(late=(36, "revoked"))

    assert found.what == (
        "36 requests since 00:00 UTC though the grant is revoked; normal are at most 12 an hour"
    )
