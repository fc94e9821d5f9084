from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from keyvault_svc.domain.errors import (
    LimitStoreUnavailableError,
)
from keyvault_svc.domain.lease import Remaining
from keyvault_svc.domain.leasing import LeasePolicy
from keyvault_svc.domain.limits import LimitKind, Limits, LimitScope
from keyvault_svc.domain.ports import AuditTags
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultUnavailableError
from tests.unit.keyvault_svc.lease_stage import (
    BOUND,
    EVERY,
    TOKENS,
    USD,
    LeaseStage,
    limited,
)
from tests.unit.keyvault_svc.samples import (
    make_request,
)

ONE_CALL = Limits(concurrent_calls=1)
REQUEST = make_request(output_token_bound=100)


class _HangingWrapper:
    """A hand-over that never ends."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def wrap(self, ciphertext: str, tags: AuditTags, lease_seconds: int) -> SecretBytes:
        del ciphertext, tags, lease_seconds
        self.began.set()
        await asyncio.Event().wait()
        raise AssertionError


async def _settled_releases(stage: LeaseStage) -> None:
    """Wait until what was reserved in vain is given back."""
    await asyncio.gather(*stage.leasing._releases)


async def test_a_lease_that_cannot_be_wrapped_gives_back_what_it_reserved() -> None:
    stage = LeaseStage(limited(EVERY), is_always_wrapped=True)
    stage.line.break_at(2)

    with pytest.raises(VaultUnavailableError):
        await stage.lease()
    await _settled_releases(stage)

    assert await stage.held() == {}
    stage.line.mend()
    await stage.lease()


async def test_a_lease_that_cannot_be_recorded_gives_back_what_it_reserved() -> None:
    stage = LeaseStage(limited(EVERY))
    stage.release_log.is_away = True

    with pytest.raises(AuditUnavailableError):
        await stage.lease()
    await _settled_releases(stage)

    assert await stage.held() == {}
    stage.release_log.is_away = False
    lease = await stage.lease()
    assert stage.release_log.recorded == [lease.lease_id]


async def test_a_call_that_is_given_up_in_the_hand_over_gives_back_what_it_reserved() -> None:
    stage, wrapper = LeaseStage(limited(EVERY)), _HangingWrapper()
    stage.leasing = stage.leasing_by(stage.accounts, wrapper)
    call = asyncio.create_task(stage.leasing.acquire(REQUEST))
    await wrapper.began.wait()
    assert (await stage.held())[LimitScope.GRANT, LimitKind.TOKENS_PER_DAY] == BOUND

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await _settled_releases(stage)

    assert await stage.held() == {}
    assert await stage.rows() == []


async def test_a_call_that_is_given_up_while_it_reserves_gives_back_what_it_reserved() -> None:
    stage, reserved = LeaseStage(limited(EVERY)), asyncio.Event()

    async def hang() -> None:
        reserved.set()
        await asyncio.Event().wait()

    stage.limits.after["reserve"] = hang
    call = asyncio.create_task(stage.leasing.acquire(REQUEST))
    await reserved.wait()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await _settled_releases(stage)

    assert await stage.held() == {}


async def test_what_cannot_be_given_back_ends_with_its_window() -> None:
    stage = LeaseStage(limited(replace(TOKENS, concurrent_calls=1)), is_always_wrapped=True)
    stage.line.break_at(2)
    stage.limits.away.add("settle")

    with pytest.raises(VaultUnavailableError):
        await stage.lease()
    await _settled_releases(stage)

    assert await stage.counted(LimitKind.TOKENS_PER_DAY) == (0, BOUND)
    stage.clock.advance(60)
    assert await stage.counted(LimitKind.CONCURRENT_CALLS) == (0, 0)
    stage.clock.advance(24 * 3600)
    assert await stage.counted(LimitKind.TOKENS_PER_DAY) == (0, 0)


# While the store is away


async def test_without_limits_requests_go_on_while_the_store_is_away() -> None:
    stage = LeaseStage(limited(Limits()))
    stage.limits.break_all()

    lease = await stage.lease()

    assert lease.remaining == Remaining()


@pytest.mark.parametrize(
    ("grant", "key", "owner"),
    [(ONE_CALL, Limits(), Limits()), (Limits(), ONE_CALL, Limits()), (Limits(), Limits(), USD)],
    ids=list(LimitScope),
)
async def test_with_limits_nothing_is_leased_while_the_store_is_away(
    grant: Limits, key: Limits, owner: Limits
) -> None:
    stage = LeaseStage(replace(limited(grant), limits=key), policy=LeasePolicy(owner_limits=owner))
    stage.limits.break_all()

    with pytest.raises(LimitStoreUnavailableError):
        await stage.lease()
