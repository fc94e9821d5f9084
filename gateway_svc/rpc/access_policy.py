"""Who may call what, by full method name; what is not here is denied to everybody.

A test proves that every RPC of the contract stands here.
"""

from __future__ import annotations

from typing import Final

from gateway_svc.domain.roles import APP
from svc_runtime.access_policy import AccessPolicy, MethodAccess

_APPS: Final = MethodAccess(frozenset({APP}))

APP_PORT: Final[AccessPolicy] = {
    "/keyturn.gateway.v1.ChatCompletionService/CreateChatCompletion": _APPS,
    "/keyturn.gateway.v1.ChatCompletionService/StreamChatCompletion": _APPS,
    "/keyturn.gateway.v1.PassThroughService/Call": _APPS,
    "/keyturn.gateway.v1.PassThroughService/StreamCall": _APPS,
}
