from __future__ import annotations

from dataclasses import replace

from keyvault_svc.domain.anomalies.policy import AnomalyKind, Figure
from tests.fakes.fake_baseline_store import apply
from tests.unit.keyvault_svc.domain.anomalies.use_of_a_grant import (
    DAY_0,
    POLICY,
    UseOfAGrant,
    learned,
)

KIND = AnomalyKind.RATE_SPIKE


def test_an_empty_profile_knows_nothing() -> None:
    profile = UseOfAGrant().profile()

    assert profile.last_use_hour is None
    assert profile.first_day == DAY_0
    assert profile.usual(Figure.REQUESTS) == 0
    assert profile.models() == []
    assert profile.hours_of_day() == frozenset()
    assert not profile.is_learned(POLICY)
    assert profile.is_learned(replace(POLICY, learn_days=0, learn_requests=0))


def test_a_profile_is_learned_by_days_and_requests() -> None:
    few_days, few_requests, enough = UseOfAGrant(), UseOfAGrant(), UseOfAGrant()
    few_days.learn(days=6, requests=1000)
    few_requests.learn(days=7, requests=7, hours=range(9, 10))
    enough.learn(days=7, requests=8, hours=range(9, 10))

    assert [use.profile().is_learned(POLICY) for use in (few_days, few_requests, enough)] == [
        False,
        False,
        True,
    ]


def test_today_is_not_part_of_what_is_learned() -> None:
    use = UseOfAGrant()
    use.learn(days=7)
    use.go_to(6, 17)

    assert not use.profile().is_learned(POLICY)


def test_what_is_usual_leaves_the_busiest_day_out() -> None:
    use = UseOfAGrant()
    for day, requests in enumerate((5, 100, 7, 6)):
        use.go_to(day, 9)
        use.see(requests)
        use.go_to(day, 10)
        use.see(1)
    use.go_to(4)

    assert use.profile().usual(Figure.REQUESTS) == 7


def test_the_figures_do_not_grow_with_time() -> None:
    use = UseOfAGrant()
    use.learn(days=POLICY.window_days + 2, hours=range(24))
    after_a_window = len(use.figures)
    for day in range(POLICY.window_days + 2, 60):
        for hour in range(24):
            use.go_to(day, hour)
            use.see(10, tokens=1000, models=("gpt-4o",))

    assert len(use.figures) == after_a_window < 100


def test_models_are_bounded_and_the_least_recently_used_go_first() -> None:
    use = UseOfAGrant()
    for number in range(100):
        use.go_to(number // 10)
        use.see(1, models=(f"m{number:03}",))
    use.see(1)

    assert use.profile().models() == [f"m{number:03}" for number in range(36, 100)]


def test_a_model_whose_name_looks_like_another_word_is_no_other_word() -> None:
    use = UseOfAGrant()

    use.see(1, models=("uses:1:requests", "model:x", ":"))
    use.go_to(1)

    assert use.profile().models() == [":", "model:x", "uses:1:requests"]
    assert use.profile().uses() == {DAY_0: 1}


def test_a_mark_holds_for_its_day_and_kind() -> None:
    use = UseOfAGrant()
    for who in (7, 8):
        apply(use.figures, use.profile().marking("told", KIND, who))

    assert use.profile().mark("told", KIND) == 7
    assert use.profile().mark("stopped", KIND) is None
    assert use.profile().mark("told", AnomalyKind.NEW_MODEL) is None
    use.go_to(1)
    assert use.profile().mark("told", KIND) is None


def test_figures_of_a_clock_that_runs_ahead_are_left_out() -> None:
    use = learned()
    use.go_to(9, 23)

    assert max(use.profile().uses()) == DAY_0 + 8
