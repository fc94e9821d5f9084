from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.handoff import DEFAULT_LEASE_SECONDS, MAX_LEASE_SECONDS, Handoff
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.lease import Lease
from keyvault_svc.domain.ports import AuditTags
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_handoff_wrapper import FakeHandoffWrapper
from tests.fakes.fake_release_log import FakeReleaseLog
from tests.fakes.fake_vault_line import FakeVaultLine
from tests.unit.keyvault_svc.samples import CIPHERTEXT, KEY, make_record, make_version

TAGS = AuditTags("request-0001", str(KEY), "0" * 32, "spiffe://example.org/app/billing")
GRANT_ID = "1" * 16


async def _lease(
    wrapper: FakeHandoffWrapper,
    assurance: KeyAssurance = KeyAssurance.STANDARD,
    *,
    is_always_wrapped: bool = False,
    lease_seconds: int = DEFAULT_LEASE_SECONDS,
    log: FakeReleaseLog | None = None,
) -> Lease:
    handoff = Handoff(
        wrapper,
        log or FakeReleaseLog(),
        FakeClock(),
        lease_seconds=lease_seconds,
        is_always_wrapped=is_always_wrapped,
    )
    record = replace(make_record(), assurance=assurance)
    return await handoff.lease(record, record.current, TAGS, GRANT_ID)


async def test_a_lease_carries_the_sealed_key_inline() -> None:
    wrapper = FakeHandoffWrapper()

    lease = await _lease(wrapper)

    assert lease == Lease(
        "0" * 32, KEY, 1, GRANT_ID, START + timedelta(seconds=10), CIPHERTEXT, None
    )
    assert wrapper.wrapped == []


async def test_a_lease_tells_where_the_key_is_used() -> None:
    record = replace(make_record(), base_url="https://eu.example/v1")
    handoff = Handoff(FakeHandoffWrapper(), FakeReleaseLog(), FakeClock())

    assert (await handoff.lease(record, record.current, TAGS)).base_url == record.base_url


@pytest.mark.parametrize(
    ("assurance", "is_always_wrapped"),
    [
        (KeyAssurance.HIGH, False),
        (KeyAssurance.STANDARD, True),
        (KeyAssurance.HIGH, True),
    ],
)
async def test_for_the_key_or_the_deployment_vault_holds_the_sealed_key_instead(
    assurance: KeyAssurance, *, is_always_wrapped: bool
) -> None:
    wrapper = FakeHandoffWrapper()

    lease = await _lease(wrapper, assurance, is_always_wrapped=is_always_wrapped)

    assert (lease.ciphertext, lease.wrapping_token) == ("", SecretBytes(b"wrapping-token-1"))
    assert wrapper.wrapped == [(CIPHERTEXT, TAGS, DEFAULT_LEASE_SECONDS)]


async def test_vault_holds_it_no_longer_than_the_lease_lasts() -> None:
    wrapper = FakeHandoffWrapper()

    lease = await _lease(wrapper, KeyAssurance.HIGH, lease_seconds=3)

    assert lease.expire_time == START + timedelta(seconds=3)
    assert [seconds for _, _, seconds in wrapper.wrapped] == [3]


async def test_a_key_that_cannot_be_wrapped_is_not_handed_over_inline() -> None:
    line = FakeVaultLine()
    line.break_at(1)

    with pytest.raises(VaultUnavailableError):
        await _lease(FakeHandoffWrapper(line), KeyAssurance.HIGH)


async def test_the_version_that_is_asked_for_is_handed_over() -> None:
    handoff = Handoff(FakeHandoffWrapper(), FakeReleaseLog(), FakeClock())
    version = make_version(7, KeyState.PENDING)

    lease = await handoff.lease(make_record(), version, TAGS)

    assert (lease.key_version, lease.grant_id) == (7, "")
    assert version.sealed is not None
    assert lease.ciphertext == version.sealed.ciphertext


async def test_what_is_destroyed_is_not_handed_over() -> None:
    handoff = Handoff(FakeHandoffWrapper(), FakeReleaseLog(), FakeClock())

    with pytest.raises(KeyRecordUnreadableError):
        await handoff.lease(make_record(), make_version(state=KeyState.DELETED), TAGS)


@pytest.mark.parametrize("lease_seconds", [-1, 0, MAX_LEASE_SECONDS + 1])
def test_a_lease_lasts_1_to_30_seconds(lease_seconds: int) -> None:
    with pytest.raises(ValueError, match="1 to 30"):
        Handoff(FakeHandoffWrapper(), FakeReleaseLog(), FakeClock(), lease_seconds=lease_seconds)


@pytest.mark.parametrize("lease_seconds", [1, MAX_LEASE_SECONDS])
async def test_a_lease_lasts_as_long_as_it_was_set(lease_seconds: int) -> None:
    lease = await _lease(FakeHandoffWrapper(), lease_seconds=lease_seconds)

    assert lease.expire_time == START + timedelta(seconds=lease_seconds)


@pytest.mark.parametrize("is_always_wrapped", [False, True])
async def test_what_is_handed_over_was_recorded_before(*, is_always_wrapped: bool) -> None:
    log = FakeReleaseLog()

    lease = await _lease(FakeHandoffWrapper(), is_always_wrapped=is_always_wrapped, log=log)

    assert log.recorded == [lease.lease_id]


async def test_what_cannot_be_recorded_is_not_handed_over() -> None:
    log = FakeReleaseLog()
    log.is_away = True

    with pytest.raises(AuditUnavailableError):
        await _lease(FakeHandoffWrapper(), log=log)
