from __future__ import annotations

from dataclasses import replace

import pytest

from keyvault_svc.domain.anomalies.policy import AnomalyKind
from keyvault_svc.domain.anomalies.rules import RULES
from keyvault_svc.domain.events import MAX_FACT_CHARS
from tests.unit.keyvault_svc.domain.anomalies.use_of_a_grant import (
    POLICY,
    UseOfAGrant,
    kinds,
    learned,
)

SPIKE = AnomalyKind.RATE_SPIKE


def test_every_kind_has_a_rule() -> None:
    assert set(RULES) == set(AnomalyKind)


def test_a_spike_of_requests_is_told_with_what_is_normal_and_since_when() -> None:
    use = learned()

    assert use.see(99) == []
    (found,) = use.see(1)

    assert found.kind is SPIKE
    assert found.what == (
        "100 requests since 10:00 UTC; normal since 2024-04-28 is at most 10 an hour"
    )


def test_a_spike_is_so_many_times_what_is_normal() -> None:
    use = UseOfAGrant()
    use.learn(requests=1000)

    assert use.see(2999) == []
    assert kinds(use.see(1)) == [SPIKE]


def test_a_spike_of_tokens_is_told() -> None:
    use = learned()

    (found,) = use.see(1, tokens=100_000)

    assert found.kind is AnomalyKind.TOKEN_SPIKE
    assert found.what == (
        "100,000 tokens since 10:00 UTC; normal since 2024-04-28 is at most 1,000 an hour"
    )


def test_errors_are_told_when_they_are_many_and_a_share_of_all() -> None:
    use = learned()

    assert use.see(90, errors=19) == []
    (found,) = use.see(1, errors=6)

    assert found.kind is AnomalyKind.ERROR_SPIKE
    assert found.what == (
        "25 of 91 requests refused by OpenAI since 10:00 UTC; normal since 2024-04-28 is at most 0 "
        "an hour"
    )


def test_many_errors_that_are_a_small_share_are_not_told() -> None:
    use = UseOfAGrant()
    use.learn(requests=1000)

    assert use.see(1000, errors=249) == []


def test_many_refusals_are_told() -> None:
    use = learned()

    assert use.see(refusals=99) == []
    (found,) = use.see(refusals=1)

    assert found.kind is AnomalyKind.MANY_REFUSALS
    assert found.what == (
        "100 refused requests since 10:00 UTC; normal since 2024-04-28 is at most 0 an hour"
    )


def test_use_at_an_hour_far_from_all_others_is_told() -> None:
    use = learned()
    use.go_to(10, 3)

    (found,) = use.see(1)

    assert found.kind is AnomalyKind.UNUSUAL_HOUR
    assert found.what == (
        "1 request since 03:00 UTC; normal since 2024-04-28 is use in the hours 09-16 UTC"
    )


@pytest.mark.parametrize("hour", [8, 9, 16, 17])
def test_the_hours_beside_the_usual_ones_are_usual(hour: int) -> None:
    use = learned()
    use.go_to(10, hour)

    assert use.see(1) == []


def test_of_a_grant_that_is_used_now_and_then_no_hour_is_unusual() -> None:
    use = UseOfAGrant()
    use.learn(requests=1)
    use.go_to(10, 3)

    assert use.see(1) == []


def test_of_a_grant_that_was_never_used_no_hour_and_no_model_is_unusual() -> None:
    use = UseOfAGrant(replace(POLICY, learn_days=0, learn_requests=0))

    assert use.see(1, models=("o3",)) == []


def test_around_the_clock_no_hour_is_unusual() -> None:
    use = UseOfAGrant()
    use.learn(hours=range(17))
    use.go_to(10, 20)

    assert use.see(1) == []


def test_midnight_is_beside_the_last_hour_of_the_day() -> None:
    use = UseOfAGrant()
    use.learn(hours=range(20, 24))
    use.go_to(11, 0)

    assert use.see(1) == []


def test_the_first_use_of_a_model_is_told_once() -> None:
    use = learned()

    (found,) = use.see(1, models=("o3",))

    assert found.kind is AnomalyKind.NEW_MODEL
    assert found.what == "first use of o3; normal since 2024-04-28 is gpt-4o"
    assert use.see(1, models=("o3",)) == []


def test_of_many_models_some_are_named() -> None:
    use = learned()
    use.see(1, models=("a", "b", "c"))

    (found,) = use.see(1, models=tuple(f"{n}{'m' * 127}" for n in range(9)))

    assert found.what.startswith("first use of 0mmm")
    assert found.what.endswith("and 7 more; normal since 2024-04-28 is a, b and 2 more")


def test_no_name_of_a_model_breaks_the_line() -> None:
    (found,) = learned().see(1, models=("o3\n\x1b[2J\u202e",))

    assert found.what == "first use of o3[2J; normal since 2024-04-28 is gpt-4o"


def test_a_new_network_is_found() -> None:
    (found,) = learned().see(1, networks=("192.0.2.0/24",))

    assert found.kind is AnomalyKind.NEW_NETWORK
    assert found.what == "first use from 192.0.2.0/24, since 10:00 UTC; normal are others"


@pytest.mark.parametrize(("day", "count"), [(9 + 29, 0), (9 + 30, 1)])
def test_use_after_long_without_is_told(day: int, count: int) -> None:
    use = learned()
    use.go_to(day, 10)

    found = use.see(1)

    assert kinds(found) == [AnomalyKind.DORMANT_WOKEN] * count


def test_a_dormant_grant_is_told_with_its_last_use_even_if_little_is_known_of_it() -> None:
    use = UseOfAGrant()
    use.see(1)
    use.go_to(400, 10)

    (found,) = use.see(1)

    assert found.what == (
        "used since 10:00 UTC, after 400 days without use; it was used last on 2024-04-28"
    )
    assert use.see(1) == []


def test_refused_calls_do_not_wake_a_dormant_grant() -> None:
    use = learned()
    use.go_to(60, 10)

    assert use.see(refusals=1) == []
    assert kinds(use.see(1)) == [AnomalyKind.DORMANT_WOKEN]


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("rejected", "OpenAI rejected the key"),
        ("disabled", "the key is disabled"),
        ("revoked", "the grant is revoked"),
    ],
)
def test_calls_that_go_on_after_the_end_of_use_are_told_without_a_baseline(
    cause: str, words: str
) -> None:
    use = UseOfAGrant()

    assert use.see(late=(9, cause)) == []
    (found,) = use.see(late=(1, cause))

    assert found.kind is AnomalyKind.USED_AFTER_REJECTION
    assert found.what == f"10 requests since 00:00 UTC though {words}; normal are none"


def test_nothing_else_is_told_of_a_grant_that_is_not_learned() -> None:
    for days, requests in ((6, 100), (10, 0)):
        use = UseOfAGrant()
        use.learn(days=days, requests=requests, hours=range(9, 12))
        use.go_to(days, 3)

        found = use.see(
            5000,
            tokens=10**9,
            errors=5000,
            refusals=5000,
            models=("o3",),
            networks=("192.0.2.0/24",),
        )

        assert found == []


def test_the_longest_words_fit_into_a_fact() -> None:
    use = UseOfAGrant()
    use.learn(hours=range(0, 20, 2))
    use.see(10, models=tuple(str(n) * 128 for n in range(10)))
    use.go_to(10, 21)

    found = use.see(
        10**12,
        tokens=2**48,
        errors=10**12,
        refusals=10**12,
        late=(10**12, "rejected"),
        models=tuple("abcdefghij"[n] * 128 for n in range(10)),
        networks=("2001:db8:ffff::/48",),
    )

    assert kinds(found) == [kind for kind in AnomalyKind if kind is not AnomalyKind.DORMANT_WOKEN]
    suffix = "; the key is suspended"
    assert [f.what for f in found if len(f.what + suffix) > MAX_FACT_CHARS] == []
