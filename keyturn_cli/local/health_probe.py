"""Whether a service of the local stack may get calls."""

from __future__ import annotations

from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # ships none

KEY_SERVICE: Final = "keyturn.keyvault.v1.KeyLeaseService"
GATEWAY: Final = "keyturn.gateway.v1.ChatCompletionService"
"""What each service's health port is asked about: it serves this only when it can use Vault."""

_ANSWER_SECONDS: Final = 1.0
# A proxy of the environment is for the Internet.
_OPTIONS: Final = (("grpc.enable_http_proxy", 0),)


class HealthProbe:
    """Asks a service's health port, as Kubernetes would."""

    def __init__(self, port: int, service: str, *, host: str = "127.0.0.1") -> None:
        """Ask *port* of *host*, by default this machine, about the gRPC service *service*."""
        self._target = f"{host}:{port}"
        self._service = service

    def __call__(self) -> bool:
        """Tell whether the service says that it serves."""
        request = health_pb2.HealthCheckRequest(service=self._service)
        # The health port speaks plaintext, for kubelets; nothing secret passes there.
        with grpc.insecure_channel(self._target, options=_OPTIONS) as channel:  # noqa: TID251
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_ANSWER_SECONDS)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
