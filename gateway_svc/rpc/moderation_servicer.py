"""Serves ModerationService."""

from __future__ import annotations

from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.rpc.json_messages import to_object
from gateway_svc.rpc.typed_calls import TypedCalls
from keyturn.gateway.v1 import moderation_service_pb2 as moderation_pb
from keyturn.gateway.v1.moderation_service_pb2_grpc import ModerationServiceServicer
from svc_runtime.authentication import ServicerContext

_ENDPOINT: Final = Endpoint.parse("moderations")


class ModerationServicer(ModerationServiceServicer):
    """ModerationService over `Relay`."""

    def __init__(self, calls: TypedCalls) -> None:
        self._calls = calls

    async def CreateModeration(
        self, request: moderation_pb.CreateModerationRequest, context: ServicerContext
    ) -> moderation_pb.CreateModerationResponse:
        """Tell what is objectionable."""
        body = to_object(request.parameters, "parameters", reserved={"stream"})
        response = moderation_pb.CreateModerationResponse()
        await self._calls.answer(context, response.moderation, _ENDPOINT, body)
        return response
