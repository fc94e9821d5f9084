"""Serves AudioTranscriptionService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import UpstreamAnswerUnusableError
from gateway_svc.domain.relay import Exchange
from gateway_svc.rpc.answers import read_whole
from gateway_svc.rpc.event_stream import events_of
from gateway_svc.rpc.json_messages import fill
from gateway_svc.rpc.transcription_form import RequestPart, TranscriptionForm, parameters_of
from gateway_svc.rpc.typed_calls import TypedCalls, fill_from, has_type
from keyturn.gateway.v1 import audio_transcription_service_pb2 as transcription_pb
from keyturn.gateway.v1.audio_transcription_service_pb2_grpc import (
    AudioTranscriptionServiceServicer,
)
from svc_runtime.authentication import ServicerContext

_ENDPOINT: Final = Endpoint.parse("audio/transcriptions")
_ENDINGS: Final = frozenset({"transcript.text.done"})


class AudioTranscriptionServicer(AudioTranscriptionServiceServicer):
    """AudioTranscriptionService over `Relay`."""

    def __init__(self, calls: TypedCalls) -> None:
        self._calls = calls

    async def CreateTranscription(
        self,
        request_iterator: AsyncIterator[transcription_pb.CreateTranscriptionRequest],
        context: ServicerContext,
    ) -> transcription_pb.CreateTranscriptionResponse:
        """Return the whole text."""
        response = transcription_pb.CreateTranscriptionResponse()
        async with self._served(context, request_iterator, is_stream=False) as exchange:
            await _fill_whole(response.transcription, exchange)
        return response

    async def StreamTranscription(
        self,
        request_iterator: AsyncIterator[transcription_pb.StreamTranscriptionRequest],
        context: ServicerContext,
    ) -> AsyncIterator[transcription_pb.StreamTranscriptionResponse]:
        """Return the text event by event."""
        async with self._served(context, request_iterator, is_stream=True) as exchange:
            if not has_type(exchange, "text/event-stream"):
                whole = transcription_pb.StreamTranscriptionResponse()
                await _fill_whole(whole.event, exchange)
                yield whole
                return
            async with aclosing(events_of(exchange, _ENDINGS)) as events:
                async for event in events:
                    response = transcription_pb.StreamTranscriptionResponse()
                    fill(response.event, event)
                    yield response

    @asynccontextmanager
    async def _served(
        self, context: ServicerContext, parts: AsyncIterator[RequestPart], *, is_stream: bool
    ) -> AsyncIterator[Exchange]:
        remaining = aiter(parts)
        form = TranscriptionForm(await parameters_of(remaining), remaining, is_stream=is_stream)
        headers = (("content-type", form.content_type),)
        async with self._calls.served(context, _ENDPOINT, headers, form.body) as exchange:
            yield exchange


async def _fill_whole(
    target: transcription_pb.Transcription | transcription_pb.TranscriptionEvent,
    exchange: Exchange,
) -> None:
    """Fill *target* from an answer in JSON, or in the text of another format.

    Raises:
        UpstreamAnswerUnusableError: It is neither.
    """
    body = await read_whole(exchange)
    if has_type(exchange, "application/json"):
        await fill_from(target, body)
        return
    try:
        target.text = body.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return
    raise UpstreamAnswerUnusableError
