from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import structlog
from structlog.testing import capture_logs

from gateway_svc.audited_opener import AuditedOpener
from gateway_svc.domain.errors import LeaseExpiredError
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import Lease
from gateway_svc.log_events import EVENTS
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.audit_stream.stream import FLUSH_SECONDS
from svc_runtime.call_context import CallContext, bind_call
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_key_opener import FakeKeyOpener

KEY = SecretBytes(b"sk-canary")
LEASE = Lease("0199f3a1c2d47c3e9a5b1d2e3f405162", 3, "grant", START + timedelta(seconds=10), "c")


@dataclass(frozen=True)
class _Purpose:
    request_id: str = "request-1"
    key: KeyName = field(default_factory=lambda: KeyName.parse("users/alice/keys/openai"))
    app: SpiffeId = field(default_factory=lambda: SpiffeId.parse("spiffe://keyturn.test/app/demo"))


class _Stream:
    """An audit stream that takes its time, or cannot be written."""

    def __init__(self, clock: FakeClock, *, seconds: float = 0, is_away: bool = False) -> None:
        self.waits: list[float] = []
        self._clock = clock
        self._seconds = seconds
        self._is_away = is_away

    async def flushed(self, timeout_seconds: float) -> None:
        self.waits.append(timeout_seconds)
        self._clock.advance(self._seconds)
        if self._is_away:
            raise AuditUnavailableError


def test_the_line_is_one_that_is_waited_for() -> None:
    assert [event.is_audited for event in EVENTS if event.name == "key_opening"] == [True]


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    structlog.reset_defaults()


@pytest.mark.parametrize("is_away", [False, True])
async def test_the_record_of_a_call_names_the_lease_however_the_call_ends(*, is_away: bool) -> None:
    clock, call = FakeClock(), CallContext("request-1", "GET /v1/realtime")
    opener = AuditedOpener(FakeKeyOpener(KEY), _Stream(clock, is_away=is_away), clock)

    with bind_call(call), contextlib.suppress(AuditUnavailableError):
        await opener.open(_Purpose(), LEASE, 5)

    assert call.fields == {"lease": LEASE.lease_id}


async def test_a_key_is_opened_after_its_line_is_written() -> None:
    clock = FakeClock()
    stream, opener = _Stream(clock), FakeKeyOpener(KEY)

    with capture_logs() as lines:
        opened = await AuditedOpener(opener, stream, clock).open(_Purpose(), LEASE, 5)

    assert opened is KEY
    assert lines == [
        {
            "event": "key_opening",
            "log_level": "info",
            "request_id": "request-1",
            "lease": LEASE.lease_id,
            "key": "users/alice/keys/openai",
            "key_version": 3,
            "grant": "grant",
            "app": "spiffe://keyturn.test/app/demo",
        }
    ]
    assert len(stream.waits) == 1


async def test_a_key_is_not_opened_when_its_line_cannot_be_written() -> None:
    clock, opener = FakeClock(), FakeKeyOpener(KEY)

    with pytest.raises(AuditUnavailableError):
        await AuditedOpener(opener, _Stream(clock, is_away=True), clock).open(_Purpose(), LEASE, 5)

    assert opener.opened == []


async def test_a_key_is_not_opened_when_the_lease_ends_before_its_line_is_written() -> None:
    clock, opener = FakeClock(), FakeKeyOpener(KEY)

    with pytest.raises(LeaseExpiredError):
        await AuditedOpener(opener, _Stream(clock, seconds=10), clock).open(_Purpose(), LEASE, 20)

    assert opener.opened == []


@pytest.mark.parametrize(("given", "waited"), [(5.0, FLUSH_SECONDS), (0.5, 0.5)])
async def test_the_line_is_not_waited_for_longer_than_the_call_has(
    given: float, waited: float
) -> None:
    clock = FakeClock()
    stream = _Stream(clock)

    await AuditedOpener(FakeKeyOpener(KEY), stream, clock).open(_Purpose(), LEASE, given)

    assert stream.waits == [waited]


async def test_vault_has_the_time_that_is_left() -> None:
    clock, opener = FakeClock(), FakeKeyOpener(KEY)

    await AuditedOpener(opener, _Stream(clock, seconds=1.5), clock).open(_Purpose(), LEASE, 5)

    assert opener.timeouts == [3.5]
