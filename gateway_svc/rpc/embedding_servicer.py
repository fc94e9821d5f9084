"""Serves EmbeddingService."""

from __future__ import annotations

from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.rpc.json_messages import to_object
from gateway_svc.rpc.typed_calls import TypedCalls
from keyturn.gateway.v1 import embedding_service_pb2 as embedding_pb
from keyturn.gateway.v1.embedding_service_pb2_grpc import EmbeddingServiceServicer
from svc_runtime.authentication import ServicerContext

_ENDPOINT: Final = Endpoint.parse("embeddings")


class EmbeddingServicer(EmbeddingServiceServicer):
    """EmbeddingService over `Relay`."""

    def __init__(self, calls: TypedCalls) -> None:
        self._calls = calls

    async def CreateEmbeddings(
        self, request: embedding_pb.CreateEmbeddingsRequest, context: ServicerContext
    ) -> embedding_pb.CreateEmbeddingsResponse:
        """Return one vector for each input."""
        body = to_object(request.parameters, "parameters", reserved={"stream"})
        response = embedding_pb.CreateEmbeddingsResponse()
        await self._calls.answer(context, response.embeddings, _ENDPOINT, body)
        return response
