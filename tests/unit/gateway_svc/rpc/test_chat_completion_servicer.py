from __future__ import annotations

import pytest

from gateway_svc.domain.errors import UpstreamFailedError, UpstreamUnavailableError
from gateway_svc.rpc.chat_completion_servicer import _chunks
from gateway_svc.rpc.json_messages import JSONValue
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.relay_stage import CALL, Stage

STREAM = (("content-type", "text/event-stream"),)


async def _received(*pieces: bytes) -> list[dict[str, JSONValue]]:
    stage = Stage(FakeUpstream(*pieces, headers=STREAM))
    async with stage.relay.exchange(CALL) as exchange:
        return [chunk async for chunk in _chunks(exchange)]


async def test_a_stream_ends_well_with_openais_mark() -> None:
    assert await _received(b"data: {}\n\n", b"data: [DONE]\n\n") == [{}]


async def test_a_stream_without_openais_mark_was_cut() -> None:
    with pytest.raises(UpstreamUnavailableError):
        await _received(b"data: {}\n\n")


async def test_an_error_event_is_an_error_and_not_a_piece_of_the_answer() -> None:
    event = b'data: {"error":{"message":"overloaded","code":"server_error"}}\n\n'

    with pytest.raises(UpstreamFailedError) as caught:
        await _received(b"data: {}\n\n", event, b"data: [DONE]\n\n")

    assert caught.value.details["code"] == "server_error"
