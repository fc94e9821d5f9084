"""Every gRPC service of the gateway, and who serves it."""

from __future__ import annotations

from typing import Final

import grpc

from gateway_svc.domain.relay import Relay
from gateway_svc.rpc.app_calls import AppCalls
from gateway_svc.rpc.audio_transcription_servicer import AudioTranscriptionServicer
from gateway_svc.rpc.chat_completion_servicer import ChatCompletionServicer
from gateway_svc.rpc.embedding_servicer import EmbeddingServicer
from gateway_svc.rpc.model_servicer import ModelServicer
from gateway_svc.rpc.moderation_servicer import ModerationServicer
from gateway_svc.rpc.pass_through_servicer import PassThroughServicer
from gateway_svc.rpc.response_servicer import ResponseServicer
from gateway_svc.rpc.typed_calls import TypedCalls
from keyturn.gateway.v1 import audio_transcription_service_pb2_grpc as transcription_grpc
from keyturn.gateway.v1 import chat_completion_service_pb2_grpc as chat_grpc
from keyturn.gateway.v1 import embedding_service_pb2_grpc as embedding_grpc
from keyturn.gateway.v1 import model_service_pb2_grpc as model_grpc
from keyturn.gateway.v1 import moderation_service_pb2_grpc as moderation_grpc
from keyturn.gateway.v1 import pass_through_service_pb2_grpc as pass_grpc
from keyturn.gateway.v1 import response_service_pb2_grpc as response_grpc

SERVICES: Final = (
    "keyturn.gateway.v1.AudioTranscriptionService",
    "keyturn.gateway.v1.ChatCompletionService",
    "keyturn.gateway.v1.EmbeddingService",
    "keyturn.gateway.v1.ModelService",
    "keyturn.gateway.v1.ModerationService",
    "keyturn.gateway.v1.PassThroughService",
    "keyturn.gateway.v1.ResponseService",
)


def add_services(server: grpc.aio.Server, relay: Relay, calls: AppCalls) -> None:
    """Make *server* serve them all over *relay*."""
    typed = TypedCalls(relay, calls)
    transcription_grpc.add_AudioTranscriptionServiceServicer_to_server(
        AudioTranscriptionServicer(typed), server
    )
    chat_grpc.add_ChatCompletionServiceServicer_to_server(ChatCompletionServicer(typed), server)
    embedding_grpc.add_EmbeddingServiceServicer_to_server(EmbeddingServicer(typed), server)
    model_grpc.add_ModelServiceServicer_to_server(ModelServicer(typed), server)
    moderation_grpc.add_ModerationServiceServicer_to_server(ModerationServicer(typed), server)
    pass_grpc.add_PassThroughServiceServicer_to_server(PassThroughServicer(relay, calls), server)
    response_grpc.add_ResponseServiceServicer_to_server(ResponseServicer(typed), server)
