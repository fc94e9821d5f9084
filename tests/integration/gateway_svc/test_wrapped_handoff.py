"""The wrapped hand-off at a real Vault, with the policies as they are deployed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from gateway_svc.domain.errors import (
    HandoffForgedError,
    HandoffSpentError,
    LeaseExpiredError,
    SealedKeyUnusableError,
)
from gateway_svc.domain.lease_ports import Lease
from gateway_svc.vault.transit_opener import TransitOpener
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.integration.gateway_svc.handoff_side import (
    APP,
    KEY,
    PLAINTEXT,
    HandoffSide,
    lease_with,
    purpose_of,
)

SECONDS = 5.0
LOOKUP, UNWRAP = "sys/wrapping/lookup", "sys/wrapping/unwrap"
DECRYPT = "keyturn-transit/decrypt/openai"
RECORD = "users/alice/keys/handoff"


@pytest.fixture
def record(side: HandoffSide) -> Iterator[str]:
    """Path of a record that holds what a wrapping would."""
    body = {"data": {"sealed_key": "vault:v1:canary"}, "options": {"cas": 0}}
    side.root.write_data(f"keyturn-kv/data/{RECORD}", data=body)
    yield f"keyturn-kv/data/{RECORD}"
    side.root.delete(f"keyturn-kv/metadata/{RECORD}")


async def _open(opener: TransitOpener, lease: Lease) -> SecretBytes:
    return await opener.open(purpose_of(lease), lease, SECONDS)


async def _refusal(
    opener: TransitOpener, lease: Lease, expected: type[ServiceError]
) -> list[tuple[object, object, object]]:
    """Return the logged errors of an opening that fails, having judged that nothing leaks."""
    assert lease.wrapping_token is not None
    with capture_logs() as events, pytest.raises(expected) as caught:
        await _open(opener, lease)
    shown = f"{events}{caught.value}{caught.value!r}{vars(caught.value)}"
    assert lease.wrapping_token.expose().decode("ascii", errors="replace") not in shown
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    return [
        (event["event"], event["log_level"], event.get("lease"))
        for event in events
        if event["log_level"] == "error"
    ]


async def test_the_deployed_gateway_opens_what_the_key_service_wrapped(side: HandoffSide) -> None:
    lease = lease_with(side.wrap({"sealed_key": side.sealed()}))

    async with side.opener() as opener:
        with capture_logs() as events:
            opened = await _open(opener, lease)

    assert opened == SecretBytes(PLAINTEXT)
    assert events == []


async def test_an_inline_lease_still_costs_one_decrypt_and_nothing_else(side: HandoffSide) -> None:
    lease = lease_with(None, side.sealed())
    purpose = purpose_of(lease)

    async with side.opener() as opener:
        opened = await opener.open(purpose, lease, SECONDS)

    assert opened == SecretBytes(PLAINTEXT)
    assert [path for path, _ in side.audited(purpose.request_id)] == [DECRYPT]


async def test_vault_audits_each_step_with_request_lease_app_and_key(side: HandoffSide) -> None:
    token = side.wrap({"sealed_key": side.sealed()})
    lease = lease_with(token)
    purpose = purpose_of(lease)

    async with side.opener() as opener:
        await opener.open(purpose, lease, SECONDS)

    audited = side.audited(purpose.request_id)
    assert [path for path, _ in audited] == [LOOKUP, UNWRAP, DECRYPT]
    for _, headers in audited:
        assert headers["x-keyturn-lease"] == [lease.lease_id]
        assert headers["x-keyturn-app"] == [APP]
        assert headers["x-keyturn-key"] == [KEY]
    assert token.expose().decode() not in side.server.audit_log.read_text()


async def test_a_second_unwrap_is_refused_and_security_is_told(side: HandoffSide) -> None:
    lease = lease_with(side.wrap({"sealed_key": side.sealed()}))

    async with side.opener() as opener:
        await _open(opener, lease)
        told = await _refusal(opener, lease, HandoffSpentError)

    assert told == [("handoff_spent", "error", lease.lease_id)]


async def test_a_key_that_a_thief_unwrapped_first_is_not_opened(side: HandoffSide) -> None:
    token = side.wrap({"sealed_key": side.sealed()})
    thief = side.server.client()
    thief.token = token.expose().decode()
    thief.sys.unwrap()
    lease = lease_with(token)
    purpose = purpose_of(lease)

    async with side.opener() as opener:
        with pytest.raises(HandoffSpentError):
            await opener.open(purpose, lease, SECONDS)

    assert [path for path, _ in side.audited(purpose.request_id)] == [LOOKUP]


async def test_of_many_who_unwrap_at_once_one_gets_the_key(side: HandoffSide) -> None:
    lease = lease_with(side.wrap({"sealed_key": side.sealed()}))

    async with side.opener() as opener:
        results = await asyncio.gather(
            *(_open(opener, lease) for _ in range(8)), return_exceptions=True
        )

    opened = [result for result in results if isinstance(result, SecretBytes)]
    refused = [result for result in results if isinstance(result, HandoffSpentError)]
    assert opened == [SecretBytes(PLAINTEXT)]
    assert len(refused) == 7


async def test_a_token_that_vault_let_expire_is_an_expired_lease_and_no_alarm(
    side: HandoffSide,
) -> None:
    token = side.wrap({"sealed_key": side.sealed()}, ttl="1s")
    async with asyncio.timeout(20):
        while side.is_unspent(token):  # noqa: ASYNC110 - polls another process
            await asyncio.sleep(0.1)
    lease = lease_with(token)
    side.clock.advance(10)

    async with side.opener() as opener:
        told = await _refusal(opener, lease, LeaseExpiredError)

    assert told == []


async def test_a_token_that_outlives_its_lease_does_not_open(side: HandoffSide) -> None:
    lease = lease_with(side.wrap({"sealed_key": side.sealed()}))
    purpose = purpose_of(lease)
    side.clock.advance(10)

    async with side.opener() as opener:
        with pytest.raises(LeaseExpiredError):
            await opener.open(purpose, lease, SECONDS)

    assert DECRYPT not in [path for path, _ in side.audited(purpose.request_id)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"keyturn-kv/data/{RECORD}", None),
        ("GET", "cubbyhole/handoff", None),
        ("POST", "auth/token/create", {"ttl": "30s"}),
        ("POST", "sys/wrapping/rewrap", None),
    ],
    ids=["a record", "a cubbyhole", "a login", "wrapped again"],
)
async def test_what_was_wrapped_elsewhere_is_refused_and_left_unspent(
    side: HandoffSide, record: str, method: str, path: str, body: dict[str, str] | None
) -> None:
    root = side.root
    root.write_data("cubbyhole/handoff", data={"sealed_key": "vault:v1:canary"})
    if path == "sys/wrapping/rewrap":
        inner = side.wrapped("GET", record, client=root)
        body = {"token": inner.expose().decode()}
    lease = lease_with(side.wrapped(method, path, body, client=root))
    assert lease.wrapping_token is not None

    async with side.opener() as opener:
        told = await _refusal(opener, lease, HandoffForgedError)

    assert told == [("handoff_forged", "error", lease.lease_id)]
    assert side.is_unspent(lease.wrapping_token)


@pytest.mark.parametrize(("ttl", "is_taken"), [("30s", True), ("31s", False)])
async def test_what_was_wrapped_for_longer_than_a_lease_may_last_is_refused(
    side: HandoffSide, ttl: str, *, is_taken: bool
) -> None:
    lease = lease_with(side.wrap({"sealed_key": side.sealed()}, ttl, client=side.root))

    async with side.opener() as opener:
        if is_taken:
            assert await _open(opener, lease) == SecretBytes(PLAINTEXT)
        else:
            await _refusal(opener, lease, HandoffForgedError)


@pytest.mark.parametrize("body", [{}, {"sealed_key": ["vault:v1:x"]}, {"other": "vault:v1:x"}])
async def test_a_wrapping_that_holds_no_sealed_key_does_not_open(
    side: HandoffSide, body: dict[str, object]
) -> None:
    lease = lease_with(side.wrap(body, client=side.root))

    async with side.opener() as opener:
        await _refusal(opener, lease, SealedKeyUnusableError)


async def test_a_key_that_was_sealed_for_another_owner_does_not_open(side: HandoffSide) -> None:
    lease = lease_with(side.wrap({"sealed_key": side.sealed()}))
    purpose = purpose_of(lease, "users/mallory/keys/openai")

    async with side.opener() as opener:
        with pytest.raises(SealedKeyUnusableError):
            await opener.open(purpose, lease, SECONDS)


@pytest.mark.parametrize("token", [b"s.canary-that-nobody-made", b"\xff\xfe canary"])
async def test_what_is_no_token_counts_as_spent(side: HandoffSide, token: bytes) -> None:
    lease = lease_with(SecretBytes(token))

    async with side.opener() as opener:
        told = await _refusal(opener, lease, HandoffSpentError)

    assert told == [("handoff_spent", "error", lease.lease_id)]


async def test_a_token_that_wraps_nothing_is_not_taken(side: HandoffSide) -> None:
    answer = side.root.auth.token.create(ttl="60s", policies=["default"])
    lease = lease_with(SecretBytes(answer["auth"]["client_token"].encode()))

    async with side.opener() as opener:
        await _refusal(opener, lease, HandoffSpentError)


async def test_without_its_policy_the_gateway_takes_nothing(side: HandoffSide) -> None:
    token = side.wrap({"sealed_key": side.sealed()})

    async with side.opener(side.login_without(UNWRAP)) as opener:
        told = await _refusal(opener, lease_with(token), VaultUnavailableError)

    assert told == [("vault_denied", "error", None)]
    assert side.is_unspent(token)


async def test_a_vault_that_is_away_spends_nothing(side: HandoffSide) -> None:
    token = side.wrap({"sealed_key": side.sealed()})
    async with side.opener() as opener:
        pass  # the session is closed from here on

    told = await _refusal(opener, lease_with(token), VaultUnavailableError)

    assert told == []
    assert side.is_unspent(token)
