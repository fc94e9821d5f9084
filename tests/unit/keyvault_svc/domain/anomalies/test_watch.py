from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from keyvault_svc.domain.anomalies.policy import Figure
from keyvault_svc.domain.anomalies.tally import Tally
from keyvault_svc.domain.anomalies.watch import UseWatch, WatchedNetworks, WatchedSettlements
from keyvault_svc.domain.errors import (
    GrantRevokedError,
    KeyDisabledError,
    KeyRejectedError,
    LimitStoreUnavailableError,
    ModelNotGrantedError,
    NotGrantedError,
    RateLimitedError,
    SuspendedError,
)
from keyvault_svc.domain.events import Event, EventType
from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_notifier import FakeNotifier
from tests.fakes.fake_settlement_log import FakeSettlementLog
from tests.unit.keyvault_svc.samples import BILLING, KEY, SEARCH, make_grant, make_record

GRANT = GrantName(KEY, make_grant(1).grant_id)
REPORTED = Usage(60, 40, model="gpt-4o", source=UsageSource.REPORTED)


def _settlement(
    outcome: LeaseOutcome = LeaseOutcome.SERVED, usage: Usage = REPORTED, http_status: int = 200
) -> LeaseSettlement:
    return LeaseSettlement("a" * 32, "request-1", GRANT, str(BILLING), outcome, usage, http_status)


def _only(watch: UseWatch) -> Tally:
    (tally,) = watch.take().tallies
    return tally


@pytest.mark.parametrize(
    ("outcome", "http_status", "errors", "models"),
    [
        (LeaseOutcome.SERVED, 200, 0, {"gpt-4o"}),
        (LeaseOutcome.SERVED, 400, 1, set()),
        (LeaseOutcome.CANCELLED, 404, 1, set()),
        (LeaseOutcome.CANCELLED, 200, 0, {"gpt-4o"}),
        (LeaseOutcome.CANCELLED, 0, 0, set()),
        (LeaseOutcome.UNSETTLED, 0, 0, set()),
    ],
)
def test_a_settlement_is_counted_by_how_it_ended(
    outcome: LeaseOutcome, http_status: int, errors: int, models: set[str]
) -> None:
    watch = UseWatch(FakeClock())

    watch.used(_settlement(outcome, http_status=http_status))

    tally = _only(watch)
    assert tally.figures[Figure.REQUESTS] == 1
    assert tally.figures[Figure.TOKENS] == 100
    assert tally.figures[Figure.ERRORS] == errors
    assert tally.models == models


@pytest.mark.parametrize(
    ("outcome", "http_status"),
    [
        (LeaseOutcome.SERVED, 408),
        (LeaseOutcome.SERVED, 429),
        (LeaseOutcome.SERVED, 500),
        (LeaseOutcome.SERVED, 503),
        (LeaseOutcome.UPSTREAM_FAILED, 0),
        (LeaseOutcome.KEY_REJECTED, 401),
    ],
)
def test_an_outage_of_openai_and_limits_of_its_accounts_are_no_errors_of_a_grant(
    outcome: LeaseOutcome, http_status: int
) -> None:
    watch = UseWatch(FakeClock())

    watch.used(_settlement(outcome, http_status=http_status))

    assert Figure.ERRORS not in _only(watch).figures


@pytest.mark.parametrize(
    ("served", "known_as"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("ft:gpt-4o-mini-2024-07-18:acme::A1b2", "ft:gpt-4o-mini"),
        ("m" * 500, "m" * 128),
    ],
)
def test_a_new_state_of_a_model_is_no_new_model(served: str, known_as: str) -> None:
    watch = UseWatch(FakeClock())

    watch.used(_settlement(usage=replace(REPORTED, model=served)))

    assert _only(watch).models == {known_as}


def test_a_lease_that_was_not_used_is_not_observed() -> None:
    watch = UseWatch(FakeClock())

    watch.used(_settlement(LeaseOutcome.UNUSED))

    assert watch.take().tallies == ()


def test_tokens_that_were_only_reserved_are_not_counted() -> None:
    watch = UseWatch(FakeClock())

    watch.used(_settlement(usage=Usage(10**6, source=UsageSource.RESERVED)))

    assert _only(watch).figures == Counter({Figure.REQUESTS: 1})


@pytest.mark.parametrize(
    ("error", "figure", "cause"),
    [
        (KeyRejectedError(), Figure.LATE, "rejected"),
        (KeyDisabledError(), Figure.LATE, "disabled"),
        (GrantRevokedError(), Figure.LATE, "revoked"),
        (ModelNotGrantedError(), Figure.REFUSALS, ""),
        (RateLimitedError({}, 1.0), Figure.REFUSALS, ""),
    ],
)
def test_a_refusal_is_counted_by_its_reason(
    error: ServiceError, figure: Figure, cause: str
) -> None:
    watch = UseWatch(FakeClock())

    watch.refused(make_record(make_grant(1)), BILLING, error)

    tally = _only(watch)
    assert (tally.figures, tally.late_cause) == (Counter({figure: 1}), cause)
    assert (tally.grant, tally.app) == (GRANT, str(BILLING))


@pytest.mark.parametrize(
    "error",
    [SuspendedError(), NotGrantedError(), LimitStoreUnavailableError(), VaultUnavailableError()],
)
def test_stops_of_operators_and_outages_are_no_refusals(error: ServiceError) -> None:
    watch = UseWatch(FakeClock())

    watch.refused(make_record(make_grant(1)), BILLING, error)

    assert watch.take().tallies == ()


def test_refusals_of_an_app_without_a_grant_are_no_grants() -> None:
    watch = UseWatch(FakeClock())

    watch.refused(make_record(make_grant(1)), SEARCH, GrantRevokedError())

    assert watch.take().tallies == ()


def test_a_refusal_is_of_the_apps_newest_grant() -> None:
    watch = UseWatch(FakeClock())

    watch.refused(make_record(make_grant(1), make_grant(2)), BILLING, ModelNotGrantedError())

    assert _only(watch).grant.grant_id == make_grant(2).grant_id


def test_what_happens_in_one_hour_adds_up_until_it_is_taken() -> None:
    clock = FakeClock()
    watch = UseWatch(clock)
    watch.used(_settlement())
    watch.used(_settlement())
    clock.advance(3600)
    watch.used(_settlement())

    observed = watch.take()

    assert [tally.figures[Figure.REQUESTS] for tally in observed.tallies] == [2, 1]
    assert observed.tallies[1].hour == observed.tallies[0].hour + 1
    assert watch.take().tallies == ()


def test_what_has_no_room_is_counted_as_dropped_once() -> None:
    watch = UseWatch(FakeClock(), max_tallies=1)
    for grant in (make_grant(1), make_grant(2), make_grant(3)):
        watch.refused(make_record(grant), BILLING, ModelNotGrantedError())
    watch.refused(make_record(make_grant(1)), BILLING, ModelNotGrantedError())

    first, second = watch.take(), watch.take()

    assert [tally.figures.total() for tally in first.tallies] == [2]
    assert (first.dropped, second.dropped) == (2, 0)


def test_models_of_a_tally_are_bounded_in_number_and_length() -> None:
    watch = UseWatch(FakeClock())
    for number in range(100):
        watch.used(_settlement(usage=Usage(model=f"{number}{'m' * 500}")))

    models = _only(watch).models

    assert (len(models), {len(model) for model in models}) == (16, {128})


def test_networks_of_a_tally_are_bounded_in_number() -> None:
    watch = UseWatch(FakeClock())
    for number in range(100):
        watch.new_network(GRANT, str(BILLING), f"192.0.{number}.0/24")

    assert len(_only(watch).networks) == 16


def test_a_settlement_is_observed_once_it_is_logged() -> None:
    watch, log = UseWatch(FakeClock()), FakeSettlementLog()
    settlement = _settlement()

    WatchedSettlements(log, watch).write(settlement)

    assert log.written == [settlement]
    assert _only(watch).has_use


def test_new_networks_are_observed_and_told_and_other_news_is_told() -> None:
    clock, notifier = FakeClock(), FakeNotifier()
    watch = UseWatch(clock)
    events = [
        Event(kind, KEY.owner, str(KEY), str(GRANT), str(BILLING), clock.now(), facts)
        for kind, facts in (
            (EventType.GRANT_FIRST_USED, {"network": "198.51.100.0/24"}),
            (EventType.GRANT_NEW_NETWORK, {"network": "192.0.2.0/24"}),
        )
    ]

    for event in events:
        WatchedNetworks(notifier, watch).notify(event)

    assert notifier.events == events
    assert _only(watch).networks == {"192.0.2.0/24"}
