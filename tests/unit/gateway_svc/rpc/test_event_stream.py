from __future__ import annotations

import pytest

from gateway_svc.domain.errors import UpstreamFailedError, UpstreamUnavailableError
from gateway_svc.rpc.event_stream import events_of
from gateway_svc.rpc.json_values import JSONValue
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.relay_stage import CALL, Stage

STREAM = (("content-type", "text/event-stream"),)


async def _received(
    *pieces: bytes, endings: frozenset[str] = frozenset()
) -> list[dict[str, JSONValue]]:
    stage = Stage(FakeUpstream(*pieces, headers=STREAM))
    async with stage.relay.exchange(CALL) as exchange:
        return [event async for event in events_of(exchange, endings)]


async def test_a_stream_ends_well_with_openais_mark() -> None:
    assert await _received(b"data: {}\n\n", b"data: [DONE]\n\n") == [{}]


async def test_a_stream_without_openais_mark_was_cut() -> None:
    with pytest.raises(UpstreamUnavailableError):
        await _received(b"data: {}\n\n")


async def test_a_stream_may_end_with_an_event_of_a_type_that_ends_it() -> None:
    events = b'data: {"type":"delta"}\n\n', b'data: {"type":"completed"}\n\n'

    assert len(await _received(*events, endings=frozenset({"completed"}))) == 2
    with pytest.raises(UpstreamUnavailableError):
        await _received(*events, endings=frozenset({"failed"}))


async def test_an_event_of_type_error_is_an_error() -> None:
    event = b'data: {"type":"error","message":"overloaded","code":"server_error"}\n\n'

    with pytest.raises(UpstreamFailedError) as caught:
        await _received(event)

    assert caught.value.details["code"] == "server_error"


async def test_an_error_event_is_an_error_and_not_a_piece_of_the_answer() -> None:
    event = b'data: {"error":{"message":"overloaded","code":"server_error"}}\n\n'

    with pytest.raises(UpstreamFailedError) as caught:
        await _received(b"data: {}\n\n", event, b"data: [DONE]\n\n")

    assert caught.value.details["code"] == "server_error"
