"""Serves ResponseService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final
from urllib.parse import urlencode

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.rpc.json_messages import fill, to_object
from gateway_svc.rpc.typed_calls import TypedCalls, endpoint_of
from keyturn.gateway.v1 import response_service_pb2 as response_service_pb
from keyturn.gateway.v1.response_service_pb2_grpc import ResponseServiceServicer
from svc_runtime.authentication import ServicerContext

_PATH: Final = "responses"
_ENDPOINT: Final = Endpoint.parse(_PATH)
_ID: Final = "response_id"
_STREAM: Final = "stream"
_ENDINGS: Final = frozenset(
    {"response.completed", "response.failed", "response.incomplete", "response.cancelled"}
)


class ResponseServicer(ResponseServiceServicer):
    """ResponseService over `Relay`."""

    def __init__(self, calls: TypedCalls) -> None:
        self._calls = calls

    async def CreateResponse(
        self, request: response_service_pb.CreateResponseRequest, context: ServicerContext
    ) -> response_service_pb.CreateResponseResponse:
        """Return one whole answer."""
        body = to_object(request.parameters, "parameters", reserved={_STREAM})
        response = response_service_pb.CreateResponseResponse()
        await self._calls.answer(context, response.response, _ENDPOINT, body)
        return response

    async def StreamResponse(
        self, request: response_service_pb.StreamResponseRequest, context: ServicerContext
    ) -> AsyncIterator[response_service_pb.StreamResponseResponse]:
        """Return the answer event by event."""
        body = to_object(request.parameters, "parameters", reserved={_STREAM})
        body[_STREAM] = True
        events = self._calls.events(context, _ENDPOINT, body, _ENDINGS)
        async with aclosing(events):
            async for event in events:
                response = response_service_pb.StreamResponseResponse()
                fill(response.event, event)
                yield response

    async def GetResponse(
        self, request: response_service_pb.GetResponseRequest, context: ServicerContext
    ) -> response_service_pb.GetResponseResponse:
        """Return an answer that OpenAI keeps."""
        response = response_service_pb.GetResponseResponse()
        await self._calls.answer(
            context,
            response.response,
            endpoint_of(_PATH, request.response_id, _ID),
            method="GET",
            query=urlencode([("include[]", name) for name in request.include]),
        )
        return response

    async def DeleteResponse(
        self, request: response_service_pb.DeleteResponseRequest, context: ServicerContext
    ) -> response_service_pb.DeleteResponseResponse:
        """Delete an answer that OpenAI keeps."""
        response = response_service_pb.DeleteResponseResponse()
        endpoint = endpoint_of(_PATH, request.response_id, _ID)
        await self._calls.answer(context, response.deleted, endpoint, method="DELETE")
        return response

    async def CancelResponse(
        self, request: response_service_pb.CancelResponseRequest, context: ServicerContext
    ) -> response_service_pb.CancelResponseResponse:
        """Cancel an answer that is made in the background."""
        response = response_service_pb.CancelResponseResponse()
        endpoint = endpoint_of(_PATH, request.response_id, _ID, "cancel")
        await self._calls.answer(context, response.response, endpoint)
        return response
