from __future__ import annotations

from structlog.testing import capture_logs

from svc_runtime.vault.route import VaultRoute

A, B, C = "https://a:8200", "https://b:8200", "https://c:8200"


def test_the_first_address_is_used_until_it_is_left() -> None:
    route = VaultRoute((A + "/", B))

    assert route.address == A


def test_each_address_gets_its_turn_and_then_the_first_again() -> None:
    route = VaultRoute((A, B, C))

    seen = []
    for _ in range(4):
        seen.append(route.address)
        assert route.leave(route.address)

    assert seen == [A, B, C, A]


def test_many_calls_that_fail_at_one_address_leave_it_once() -> None:
    route = VaultRoute((A, B, C))
    with capture_logs() as events:
        answers = [route.leave(A) for _ in range(50)]

    assert answers == [True] * 50
    assert route.address == B
    assert [event["event"] for event in events] == ["vault_failover"]


def test_a_lone_address_is_never_left() -> None:
    route = VaultRoute((A,))
    with capture_logs() as events:
        assert not route.leave(A)

    assert (route.address, events) == (A, [])


def test_a_failover_is_logged_without_an_address() -> None:
    route = VaultRoute((A, B))
    with capture_logs() as events:
        route.leave(A)

    assert "https" not in str(events)
