from __future__ import annotations

import pytest

from gateway_svc.domain.errors import UpstreamUnavailableError
from gateway_svc.rpc.chat_completion_servicer import _events
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.relay_stage import CALL, Stage

STREAM = (("content-type", "text/event-stream"),)


async def _received(*pieces: bytes) -> list[bytes]:
    stage = Stage(FakeUpstream(*pieces, headers=STREAM))
    async with stage.relay.exchange(CALL) as exchange:
        return [event async for event in _events(exchange)]


async def test_a_stream_ends_well_with_openais_mark() -> None:
    assert await _received(b"data: {}\n\n", b"data: [DONE]\n\n") == [b"{}"]


async def test_a_stream_without_openais_mark_was_cut() -> None:
    with pytest.raises(UpstreamUnavailableError):
        await _received(b"data: {}\n\n")
