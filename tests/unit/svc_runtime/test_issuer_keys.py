from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from svc_runtime.call_context import bind_request_id
from svc_runtime.issuer_keys import IssuerKeys
from tests.certs import Authority
from tests.fakes.fake_clock import FakeClock
from tests.unit.svc_runtime.issuer import EC, RSA, Issuer, jwk, serving

OUTAGES = [
    {"status": 503},
    {"status": 302},
    {"status": 404},
    {"body": b"not JSON"},
    {"body": b"[]"},
    {"body": b"{}"},
    {"body": b'{"keys": null}'},
    {"body": b'{"keys": {"a": 1}}'},
    {"body": b"[" * 100_000},
    {"body": b'{"keys": []}' + b" " * (256 * 1024)},
    {"body": gzip.compress(b'{"keys": []}'), "encoding": "gzip"},
]


@pytest.fixture(name="issuer")
async def _issuer(tmp_path: Path) -> AsyncIterator[Issuer]:
    async with serving(tmp_path) as issuer:
        yield issuer


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="keys")
async def _keys(issuer: Issuer, clock: FakeClock) -> AsyncIterator[IssuerKeys]:
    keys = IssuerKeys(issuer.jwks_url, issuer.ca_file, clock)
    yield keys
    await keys.close()


@asynccontextmanager
async def _refreshing(issuer: Issuer, clock: FakeClock) -> AsyncIterator[IssuerKeys]:
    keys = IssuerKeys(
        issuer.jwks_url, issuer.ca_file, clock, refresh_seconds=0.01, retry_seconds=0.01
    )
    try:
        yield keys
    finally:
        await keys.close()


def _break(issuer: Issuer, outage: dict[str, object]) -> None:
    for name, value in outage.items():
        setattr(issuer, name, value)


async def test_the_keys_are_fetched_with_the_first_token_and_kept(
    issuer: Issuer, keys: IssuerKeys
) -> None:
    first, second = await keys.with_key("rsa"), await keys.with_key("ec")

    assert first is second
    assert set(first or ()) == {"rsa", "ec", "ed"}
    assert issuer.fetch_count == 1


async def test_tokens_at_the_same_time_share_one_fetch(issuer: Issuer, keys: IssuerKeys) -> None:
    keysets = await asyncio.gather(*(keys.with_key("rsa") for _ in range(20)))

    assert all(keyset is not None for keyset in keysets)
    assert issuer.fetch_count == 1


async def test_a_caller_that_hangs_up_does_not_end_the_fetch_of_the_others(
    issuer: Issuer, keys: IssuerKeys
) -> None:
    leader = asyncio.create_task(keys.with_key("rsa"))
    follower = asyncio.create_task(keys.with_key("rsa"))
    await asyncio.sleep(0)  # lets both begin
    leader.cancel()

    assert await follower is not None
    assert issuer.fetch_count == 1


async def test_the_keys_are_refreshed_before_they_are_old_without_any_token(
    issuer: Issuer, clock: FakeClock
) -> None:
    async with _refreshing(issuer, clock) as keys:
        await keys.with_key("rsa")
        issuer.rename_keys("next")
        await issuer.fetched(3)  # the second has ended

        assert set(await keys.with_key("next") or ()) == {"next"}


async def test_refreshing_goes_on_after_an_outage(issuer: Issuer, clock: FakeClock) -> None:
    async with _refreshing(issuer, clock) as keys:
        await keys.with_key("rsa")
        issuer.status = 503
        await issuer.fetched(3)
        issuer.status = 200
        issuer.rename_keys("next")
        await issuer.fetched(issuer.fetch_count + 2)

        assert set(await keys.with_key("next") or ()) == {"next"}


async def test_what_a_refresh_logs_is_not_of_the_call_that_began_refreshing(
    issuer: Issuer, clock: FakeClock
) -> None:
    async with _refreshing(issuer, clock) as keys:
        with bind_request_id("request-0001"):
            await keys.with_key("rsa")
        issuer.status = 503
        with capture_logs(processors=[merge_contextvars]) as logs:
            await issuer.fetched(4)

    request_ids = [log.get("request_id") for log in logs]
    assert request_ids != []
    assert len({None, "request-0001", *request_ids}) == len(request_ids) + 2


async def test_a_key_that_the_issuer_withdrew_verifies_no_more_after_the_refresh(
    issuer: Issuer, clock: FakeClock
) -> None:
    async with _refreshing(issuer, clock) as keys:
        await keys.with_key("rsa")
        issuer.keys = [jwk(EC, "ec")]
        await issuer.fetched(3)

        assert "rsa" not in (await keys.with_key("ec") or ())


async def test_no_token_of_a_known_key_waits_for_an_issuer_that_hangs(
    issuer: Issuer, clock: FakeClock
) -> None:
    keys = IssuerKeys(issuer.jwks_url, issuer.ca_file, clock, timeout_seconds=60)
    await keys.with_key("rsa")
    issuer.hold()
    clock.advance(301)
    async with asyncio.timeout(10):
        before = await keys.with_key("rsa")
        await issuer.fetched(2)
        during = await keys.with_key("rsa")
    await keys.close()

    assert before is not None
    assert during is not None
    assert issuer.fetch_count == 2


async def test_a_hanging_issuer_and_a_dripping_one_are_outages(
    issuer: Issuer, clock: FakeClock
) -> None:
    issuer.drips = True
    keys = IssuerKeys(issuer.jwks_url, issuer.ca_file, clock, timeout_seconds=0.2)
    dripping = await keys.with_key("rsa")
    issuer.hold()
    clock.advance(1)
    hanging = await keys.with_key("rsa")
    await keys.close()

    assert (dripping, hanging) == (None, None)
    assert issuer.fetch_count == 2


async def test_a_key_that_the_issuer_added_is_found_at_once(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock
) -> None:
    await keys.with_key("rsa")
    issuer.rename_keys("next")
    clock.advance(10)

    assert "next" in (await keys.with_key("next") or ())


async def test_a_flood_of_unknown_key_ids_causes_one_fetch_in_ten_seconds(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock
) -> None:
    await keys.with_key("rsa")
    for _ in range(60):
        clock.advance(1)
        await asyncio.gather(*(keys.with_key(f"made-up-{n}") for n in range(20)))

    assert issuer.fetch_count == 1 + 6


async def test_a_flood_of_unknown_key_ids_hides_a_new_key_for_ten_seconds_at_most(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock
) -> None:
    await keys.with_key("rsa")
    clock.advance(10)
    await keys.with_key("made-up")  # it takes the fetch of these ten seconds
    issuer.keys.append(jwk(RSA, "next"))
    knows_it = []
    for second in range(11):
        await asyncio.gather(*(keys.with_key(f"made-up-{second}-{n}") for n in range(20)))
        knows_it.append("next" in (await keys.with_key("next") or ()))
        clock.advance(1)

    assert knows_it == [False] * 10 + [True]
    assert issuer.fetch_count == 3


@pytest.mark.parametrize("outage", OUTAGES)
async def test_without_any_keys_there_is_nothing_to_judge_by(
    issuer: Issuer, keys: IssuerKeys, outage: dict[str, object]
) -> None:
    _break(issuer, outage)

    assert await keys.with_key("rsa") is None


@pytest.mark.parametrize("outage", OUTAGES)
async def test_the_last_good_keys_serve_for_an_hour_of_outage(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock, outage: dict[str, object]
) -> None:
    await keys.with_key("rsa")
    _break(issuer, outage)
    clock.advance(3600)
    at_the_end = await keys.with_key("rsa")
    clock.advance(1)

    assert at_the_end is not None
    assert await keys.with_key("rsa") is None


async def test_an_outage_does_not_make_an_unknown_key_id_a_refusal(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock
) -> None:
    """The issuer may have added the key since."""
    await keys.with_key("rsa")
    issuer.status = 503
    clock.advance(10)
    during = [await keys.with_key("next"), await keys.with_key("next")]
    known = await keys.with_key("rsa")
    issuer.status = 200
    clock.advance(10)

    assert during == [None, None]
    assert known is not None
    assert await keys.with_key("next") is not None


async def test_an_issuer_that_was_away_from_the_start_is_asked_again_after_a_second(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock
) -> None:
    issuer.status = 503
    first, at_once = await keys.with_key("rsa"), await keys.with_key("rsa")
    issuer.status = 200
    clock.advance(1)

    assert (first, at_once) == (None, None)
    assert await keys.with_key("rsa") is not None
    assert issuer.fetch_count == 2


async def test_an_issuer_whose_certificate_is_of_another_ca_is_not_believed(
    issuer: Issuer, clock: FakeClock, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority().pem)
    keys = IssuerKeys(issuer.jwks_url, other, clock)

    assert await keys.with_key("rsa") is None
    assert issuer.fetch_count == 0
    await keys.close()


async def test_a_ca_file_that_is_not_there_is_an_outage(
    issuer: Issuer, clock: FakeClock, tmp_path: Path
) -> None:
    keys = IssuerKeys(issuer.jwks_url, tmp_path / "missing.pem", clock)

    assert await keys.with_key("rsa") is None
    await keys.close()


async def test_an_issuer_that_listens_no_more_is_an_outage(
    clock: FakeClock, tmp_path: Path
) -> None:
    async with serving(tmp_path) as issuer:
        keys = IssuerKeys(issuer.jwks_url, issuer.ca_file, clock)

    assert await keys.with_key("rsa") is None
    await keys.close()


async def test_an_end_during_a_fetch_leaves_nothing_open(issuer: Issuer, clock: FakeClock) -> None:
    keys = IssuerKeys(issuer.jwks_url, issuer.ca_file, clock)
    waiting = asyncio.create_task(keys.with_key("rsa"))
    await asyncio.sleep(0)  # lets it begin
    await keys.close()

    with pytest.raises(asyncio.CancelledError):
        await waiting
