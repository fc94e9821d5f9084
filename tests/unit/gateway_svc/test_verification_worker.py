from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from gateway_svc.domain.errors import KeyServiceUnavailableError
from gateway_svc.domain.upstream_ports import UpstreamAnswer, UpstreamRequest
from gateway_svc.domain.verification import VerificationOutcome
from gateway_svc.verification_worker import VerificationWorker, pause_seconds
from svc_runtime.log_fields import LogField
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_key_opener import FakeKeyOpener
from tests.fakes.fake_upstream import FakeUpstream
from tests.fakes.fake_verification_desk import FakeVerificationDesk
from tests.span_tape import taping
from tests.unit.gateway_svc.verification_stage import make_verifier, verification

ANSWER = b'{"object": "list"}'
LONG = 60.0  # seconds: a pause that no test waits for


class HeldUpstream(FakeUpstream):
    """An OpenAI that answers nobody before the test lets it."""

    def __init__(self) -> None:
        super().__init__(ANSWER)
        self.let = asyncio.Event()
        self.request_ids: list[object] = []

    @asynccontextmanager
    async def send(
        self, request: UpstreamRequest, api_key: SecretBytes, timeout_seconds: float
    ) -> AsyncIterator[UpstreamAnswer]:
        """Write *request* down, and answer when the test says so."""
        async with super().send(request, api_key, timeout_seconds) as answer:
            self.request_ids.append(get_contextvars().get("request_id"))
            await self.let.wait()
            yield answer


@asynccontextmanager
async def _running(worker: VerificationWorker) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until *condition* holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - watches what has no event
            await asyncio.sleep(0)


async def test_work_that_waits_is_taken_without_a_pause() -> None:
    desk = FakeVerificationDesk([verification(number) for number in range(9)])
    worker = VerificationWorker(
        make_verifier(FakeUpstream(ANSWER), desk), poll_seconds=LONG, concurrency=4
    )

    async with _running(worker):
        await _until(lambda: len(desk.reports) == 9)

    assert {outcome for _, outcome in desk.reports} == {VerificationOutcome.VERIFIED}


async def test_no_more_is_claimed_than_can_be_done_at_a_time() -> None:
    desk = FakeVerificationDesk([verification(number) for number in range(9)])
    upstream = HeldUpstream()
    worker = VerificationWorker(make_verifier(upstream, desk), poll_seconds=LONG, concurrency=3)

    async with _running(worker):
        await _until(lambda: upstream.open_count == 3)
        for _ in range(100):
            await asyncio.sleep(0)
        assert (desk.claim_count, upstream.open_count) == (3, 3)
        upstream.let.set()
        await _until(lambda: len(desk.reports) == 9)


async def test_what_is_found_is_logged_by_names_only() -> None:
    key = verification()
    desk, upstream = FakeVerificationDesk([key]), HeldUpstream()
    upstream.let.set()
    worker = VerificationWorker(make_verifier(upstream, desk), poll_seconds=LONG, concurrency=1)

    with capture_logs() as events:
        async with _running(worker):
            await _until(lambda: bool(events))

    assert events == [
        {
            "event": "key_verified",
            "log_level": "info",
            "key": str(key.key),
            "lease": key.lease.lease_id,
            "outcome": "verified",
        }
    ]
    assert set(events[0]) - {"log_level"} <= set(LogField)
    assert set(upstream.request_ids) == {key.request_id}


@pytest.mark.parametrize("failure", [VaultUnavailableError(), RuntimeError("canary")])
async def test_a_verification_that_fails_leaves_the_others_alone(failure: Exception) -> None:
    desk = FakeVerificationDesk([verification(number) for number in range(3)])
    opener = FakeKeyOpener(failure)
    worker = VerificationWorker(
        make_verifier(FakeUpstream(ANSWER), desk, opener=opener), poll_seconds=LONG, concurrency=1
    )

    with capture_logs() as events:
        async with _running(worker) as task:
            await _until(lambda: len(events) == 3)
            assert not task.done()

    assert desk.reports == []
    assert len(opener.opened) == 3


@pytest.mark.parametrize("failure", [KeyServiceUnavailableError(), RuntimeError("canary")])
async def test_a_key_service_that_is_away_is_asked_again(failure: Exception) -> None:
    desk = FakeVerificationDesk([failure, failure, verification()])
    worker = VerificationWorker(
        make_verifier(FakeUpstream(ANSWER), desk), poll_seconds=0.001, concurrency=1
    )

    async with _running(worker):
        await _until(lambda: len(desk.reports) == 1)

    assert desk.claim_count >= 3


async def test_a_worker_that_is_stopped_stops_what_is_under_way() -> None:
    desk, upstream = FakeVerificationDesk([verification(0), verification(1)]), HeldUpstream()
    worker = VerificationWorker(make_verifier(upstream, desk), poll_seconds=LONG, concurrency=2)

    async with _running(worker) as task:
        await _until(lambda: upstream.open_count == 2)
        task.cancel()
        await asyncio.wait({task})

    assert task.cancelled()
    assert (upstream.open_count, desk.reports) == (0, [])


@pytest.mark.parametrize(
    ("poll_seconds", "failures", "jitter", "seconds"),
    [
        (1.0, 0, 0.0, 0.75),
        (1.0, 0, 1.0, 1.25),
        (1.0, 1, 0.5, 2.0),
        (1.0, 3, 0.5, 8.0),
        (1.0, 9, 0.5, 30.0),
        (1.0, 10_000, 1.0, 37.5),
        (60.0, 0, 0.5, 60.0),
        (60.0, 9, 0.5, 60.0),
    ],
)
def test_a_pause_doubles_with_every_failure(
    poll_seconds: float, failures: int, jitter: float, seconds: float
) -> None:
    assert pause_seconds(poll_seconds, failures, jitter) == pytest.approx(seconds)


async def test_a_verification_is_a_span_that_says_whose_fault_a_failure_is() -> None:
    desk = FakeVerificationDesk([verification()])
    opener = FakeKeyOpener(VaultUnavailableError())
    verifier = make_verifier(FakeUpstream(ANSWER), desk, opener=opener)
    with taping() as tape:
        async with _running(VerificationWorker(verifier, poll_seconds=LONG, concurrency=1)):
            await _until(lambda: bool(tape.spans))

    about = tape.only().attributes or {}
    assert tape.names == ["keyturn.verify_key"]
    assert about["keyturn.request_id"] == verification().request_id
    assert about["error.type"] == VaultUnavailableError.reason
