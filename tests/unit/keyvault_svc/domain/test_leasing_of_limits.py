from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.errors import (
    AppProofRequiredError,
    BudgetSpentError,
    EndpointNotGrantedError,
    GrantRevokedError,
    KeyDisabledError,
    ModelNotGrantedError,
    ModelPriceUnknownError,
    NotGrantedError,
    OwnerNotPresentError,
    RateLimitedError,
    SourceNotGrantedError,
    SuspendedError,
    TokenBoundRequiredError,
)
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.lease import LeaseRequest, Remaining
from keyvault_svc.domain.leasing import LeasePolicy
from keyvault_svc.domain.limits import LimitKind, Limits, LimitScope
from keyvault_svc.domain.person import Person
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from tests.fakes.fake_clock import START
from tests.fakes.fake_owner_proof import FakeOwnerProof
from tests.unit.keyvault_svc.decisions import stopped_by
from tests.unit.keyvault_svc.lease_stage import (
    BOUND,
    EVERY,
    USD,
    LeaseStage,
    limited,
    settlement_of,
)
from tests.unit.keyvault_svc.samples import (
    KEY,
    SEARCH,
    make_request,
    make_terms,
)

OWNER_TOKEN = SecretBytes(b"header.canary-owner.signature")
ONE_CALL = Limits(concurrent_calls=1)
# Room for one such request, and not for two.
TIGHT = {
    LimitKind.CONCURRENT_CALLS: 1,
    LimitKind.REQUESTS_PER_MINUTE: 1,
    LimitKind.TOKENS_PER_MINUTE: 300,
    LimitKind.TOKENS_PER_DAY: 300,
    LimitKind.TOKENS_PER_MONTH: 300,
    LimitKind.USD_PER_DAY: Decimal("0.0015"),
    LimitKind.USD_PER_MONTH: Decimal("0.0015"),
}


async def test_a_request_holds_what_it_can_take_at_most() -> None:
    stage = LeaseStage(limited(EVERY))

    await stage.lease()

    # 100 tokens at 2.50 USD a million, and 100 at 10 USD
    assert await stage.held() == {
        (LimitScope.GRANT, LimitKind.CONCURRENT_CALLS): 1,
        (LimitScope.GRANT, LimitKind.REQUESTS_PER_MINUTE): 1,
        (LimitScope.GRANT, LimitKind.TOKENS_PER_MINUTE): BOUND,
        (LimitScope.GRANT, LimitKind.TOKENS_PER_DAY): BOUND,
        (LimitScope.GRANT, LimitKind.TOKENS_PER_MONTH): BOUND,
        (LimitScope.GRANT, LimitKind.USD_PER_DAY): 1250,
        (LimitScope.GRANT, LimitKind.USD_PER_MONTH): 1250,
    }


async def test_limits_of_grant_key_and_owner_all_hold() -> None:
    calls = Limits(requests_per_minute=9)
    stage = LeaseStage(
        replace(limited(calls), limits=calls), policy=LeasePolicy(owner_limits=calls)
    )

    await stage.lease()

    assert await stage.held() == dict.fromkeys(
        [(scope, LimitKind.REQUESTS_PER_MINUTE) for scope in LimitScope], 1
    )


async def test_an_owner_with_limits_of_its_own_has_these_in_place_of_the_deployments() -> None:
    stage = LeaseStage(limited(Limits()), policy=LeasePolicy(owner_limits=ONE_CALL))
    stage.controls.stored = stage.controls.stored.with_owner_limits(
        KEY.owner, Limits(requests_per_minute=2)
    )

    await stage.lease()
    await stage.lease()

    with pytest.raises(RateLimitedError) as caught:
        await stage.lease()
    assert caught.value.details["scope"] == "owner"
    assert caught.value.details["kind"] == "requests_per_minute"


def _with_state(record: KeyRecord) -> KeyRecord:
    return replace(record, current=replace(record.current, state=KeyState.DISABLED))


def _revoked(record: KeyRecord) -> KeyRecord:
    return replace(record, grants=(replace(record.grants[0], revoke_time=START),))


def _of_terms(**changes: object) -> Callable[[KeyRecord], KeyRecord]:
    def change(record: KeyRecord) -> KeyRecord:
        grant = record.grants[0]
        terms = replace(grant.terms, **changes)  # type: ignore[arg-type]  # any field
        return replace(record, grants=(replace(grant, terms=terms),))

    return change


def _as_it_is(record: KeyRecord) -> KeyRecord:
    return record


REQUEST = make_request(output_token_bound=100)
REFUSALS: list[tuple[Callable[[KeyRecord], KeyRecord], LeaseRequest, type[ServiceError]]] = [
    (_as_it_is, replace(REQUEST, app=SEARCH), NotGrantedError),
    (_with_state, REQUEST, KeyDisabledError),
    (_revoked, REQUEST, GrantRevokedError),
    (_of_terms(needs_app_proof=True), REQUEST, AppProofRequiredError),
    (
        _of_terms(source_cidrs=make_terms(source_cidrs=("192.0.2.0/24",)).source_cidrs),
        REQUEST,
        SourceNotGrantedError,
    ),
    (_of_terms(endpoints=("embeddings",)), REQUEST, EndpointNotGrantedError),
    (_of_terms(models=("o1",)), REQUEST, ModelNotGrantedError),
    (_of_terms(needs_owner_presence=True), REQUEST, OwnerNotPresentError),
    (_as_it_is, replace(REQUEST, runs_tools=True), TokenBoundRequiredError),
    (_of_terms(limits=USD), replace(REQUEST, model="unheard-of"), ModelPriceUnknownError),
]


@pytest.mark.parametrize(
    ("change", "request_", "error"), REFUSALS, ids=[refusal[2].reason for refusal in REFUSALS]
)
async def test_a_refused_request_takes_nothing_from_any_counter(
    change: Callable[[KeyRecord], KeyRecord], request_: LeaseRequest, error: type[ServiceError]
) -> None:
    record = change(replace(limited(EVERY), limits=EVERY))
    stage = LeaseStage(record, policy=LeasePolicy(owner_limits=EVERY))

    with pytest.raises(error):
        await stage.leasing.acquire(request_)

    assert "reserve" not in stage.limits.asked
    assert await stage.held() == {}


async def test_a_suspended_request_takes_nothing_from_any_counter() -> None:
    stage = LeaseStage(limited(EVERY))
    stage.controls.stored = stopped_by(None)

    with pytest.raises(SuspendedError):
        await stage.lease()

    assert await stage.held() == {}


@pytest.mark.parametrize("kind", LimitKind)
async def test_a_request_that_the_last_limit_refuses_takes_nothing_from_the_others(
    kind: LimitKind,
) -> None:
    wide = replace(EVERY, concurrent_calls=9, requests_per_minute=9)
    tight = replace(Limits(), **{kind.value: TIGHT[kind]})  # type: ignore[arg-type]  # of its kind
    stage = LeaseStage(replace(limited(wide), limits=wide), policy=LeasePolicy(owner_limits=tight))
    await stage.lease()
    before = await stage.held()

    with pytest.raises(BudgetSpentError if kind.is_budget else RateLimitedError):
        await stage.lease()

    assert await stage.held() == before


@pytest.mark.parametrize(
    "change", [refusal[0] for refusal in REFUSALS[1:8]], ids=[r[2].reason for r in REFUSALS[1:8]]
)
async def test_a_spent_limit_is_told_after_everything_else(
    change: Callable[[KeyRecord], KeyRecord],
) -> None:
    stage = LeaseStage(limited(ONE_CALL))
    await stage.lease()
    stage.store.put(change(limited(ONE_CALL)))

    with pytest.raises(ServiceError) as caught:
        await stage.lease()

    assert not isinstance(caught.value, RateLimitedError)


async def test_a_ceilings_limit_holds_for_a_grant_from_before() -> None:
    policy = LeasePolicy(ceilings=Ceilings(limits=ONE_CALL))
    stage = LeaseStage(limited(Limits()), policy=policy)
    await stage.lease()

    with pytest.raises(RateLimitedError):
        await stage.lease()


async def test_a_lease_tells_what_the_tightest_limits_leave() -> None:
    grant = Limits(requests_per_minute=9, tokens_per_day=1000, usd_per_month=Decimal("0.01"))
    key = Limits(requests_per_minute=5, tokens_per_minute=700, concurrent_calls=3)
    stage = LeaseStage(replace(limited(grant), limits=key))

    lease = await stage.lease()

    assert lease.remaining == Remaining(requests=4, tokens=500, micro_usd=10_000 - 1250)


async def test_a_lease_without_limits_tells_nothing_of_them() -> None:
    stage = LeaseStage(limited(ONE_CALL))

    assert (await stage.lease()).remaining == Remaining()


async def test_the_use_of_a_key_is_put_down_to_the_person_who_was_present() -> None:
    proof = FakeOwnerProof(OWNER_TOKEN, Person("alice"))
    stage = LeaseStage(limited(Limits()), owner_proof=proof)

    lease = await stage.lease(owner_token=OWNER_TOKEN)
    await stage.accounts.settle(settlement_of(lease))

    assert [row.member for row in await stage.rows()] == ["alice"]
