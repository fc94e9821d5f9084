"""Who may call what, by full method name; what is not here is denied to everybody.

A test proves that every RPC of the contract stands here.
"""

from __future__ import annotations

from typing import Final

from gateway_svc.domain.roles import APP
from svc_runtime.access_policy import AccessPolicy, MethodAccess

_APPS: Final = MethodAccess(frozenset({APP}))

APP_PORT: Final[AccessPolicy] = {
    "/keyturn.gateway.v1.AudioTranscriptionService/CreateTranscription": _APPS,
    "/keyturn.gateway.v1.AudioTranscriptionService/StreamTranscription": _APPS,
    "/keyturn.gateway.v1.ChatCompletionService/CreateChatCompletion": _APPS,
    "/keyturn.gateway.v1.ChatCompletionService/StreamChatCompletion": _APPS,
    "/keyturn.gateway.v1.EmbeddingService/CreateEmbeddings": _APPS,
    "/keyturn.gateway.v1.ModelService/DeleteModel": _APPS,
    "/keyturn.gateway.v1.ModelService/GetModel": _APPS,
    "/keyturn.gateway.v1.ModelService/ListModels": _APPS,
    "/keyturn.gateway.v1.ModerationService/CreateModeration": _APPS,
    "/keyturn.gateway.v1.PassThroughService/Call": _APPS,
    "/keyturn.gateway.v1.PassThroughService/StreamCall": _APPS,
    "/keyturn.gateway.v1.ResponseService/CancelResponse": _APPS,
    "/keyturn.gateway.v1.ResponseService/CreateResponse": _APPS,
    "/keyturn.gateway.v1.ResponseService/DeleteResponse": _APPS,
    "/keyturn.gateway.v1.ResponseService/GetResponse": _APPS,
    "/keyturn.gateway.v1.ResponseService/StreamResponse": _APPS,
}
