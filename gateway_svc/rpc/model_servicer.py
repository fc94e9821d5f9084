"""Serves ModelService."""

from __future__ import annotations

from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.rpc.typed_calls import TypedCalls, endpoint_of
from keyturn.gateway.v1 import model_service_pb2 as model_pb
from keyturn.gateway.v1.model_service_pb2_grpc import ModelServiceServicer
from svc_runtime.authentication import ServicerContext

_PATH: Final = "models"
_ENDPOINT: Final = Endpoint.parse(_PATH)


class ModelServicer(ModelServiceServicer):
    """ModelService over `Relay`."""

    def __init__(self, calls: TypedCalls) -> None:
        self._calls = calls

    async def ListModels(
        self, request: model_pb.ListModelsRequest, context: ServicerContext
    ) -> model_pb.ListModelsResponse:
        """List the models."""
        del request
        response = model_pb.ListModelsResponse()
        await self._calls.answer(context, response.models, _ENDPOINT, method="GET")
        return response

    async def GetModel(
        self, request: model_pb.GetModelRequest, context: ServicerContext
    ) -> model_pb.GetModelResponse:
        """Describe one model."""
        response = model_pb.GetModelResponse()
        endpoint = endpoint_of(_PATH, request.model, "model")
        await self._calls.answer(context, response.model, endpoint, method="GET")
        return response

    async def DeleteModel(
        self, request: model_pb.DeleteModelRequest, context: ServicerContext
    ) -> model_pb.DeleteModelResponse:
        """Delete a model that was fine-tuned."""
        response = model_pb.DeleteModelResponse()
        endpoint = endpoint_of(_PATH, request.model, "model")
        await self._calls.answer(context, response.deleted, endpoint, method="DELETE")
        return response
