"""Health on a port of its own: may this process get traffic, is it alive."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # ships none
from grpc_health.v1.health import aio as health_aio  # type: ignore[import-untyped]  # ships none

from svc_runtime.grpc_handlers import generic_only
from svc_runtime.serving_port import ServingPort

_MAX_REQUEST_BYTES = 4096  # A health request is a service name; nobody authenticates here


class HealthServer:
    """Serves `grpc.health.v1.Health` in plaintext, and nothing else.

    Plaintext and open to whoever reaches the port, because kubelet probes cannot present
    a client certificate. The answers tell no more than a closed port would.

    The service name `""` means liveness and is serving from the start; any other name is
    unknown until `set_serving` names it.
    """

    def __init__(self, address: str) -> None:
        """Create a server that does not listen yet.

        Args:
            address: `host:port`; port 0 takes a free one.
        """
        self._servicer = health_aio.HealthServicer()
        self._port = ServingPort(self._build, address)

    async def start(self) -> int:
        """Start to answer; return the port.

        Raises:
            RuntimeError: The address cannot be bound.
        """
        return await self._port.start()

    async def set_serving(self, service_name: str, is_serving: bool) -> None:  # noqa: FBT001  # the state itself
        """Report whether *service_name* may get traffic. No effect once draining."""
        statuses = health_pb2.HealthCheckResponse
        await self._servicer.set(
            service_name, statuses.SERVING if is_serving else statuses.NOT_SERVING
        )

    async def drain(self) -> None:
        """Report every service as not serving, for good. Idempotent; goes before `stop`."""
        await self._servicer.enter_graceful_shutdown()

    async def stop(self, grace_seconds: float | None = None) -> None:
        """Stop to answer; calls in flight get *grace_seconds*, None cancels them at once."""
        await self._port.stop(grace_seconds or 0.0)

    def _build(self, address: str) -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
            ]
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, generic_only(server))
        return server, server.add_insecure_port(address)
