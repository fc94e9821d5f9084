"""Build a gRPC server whose interceptors, limits and access rules cannot be left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import grpc
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped]  # the package ships no types
    reflection,
    reflection_pb2,
)

from svc_runtime.access_policy import REFLECTION_SERVICES, AccessPolicy, with_reflection
from svc_runtime.authentication import Authenticator
from svc_runtime.clock import SystemClock
from svc_runtime.grpc_handlers import generic_only
from svc_runtime.interceptors.audit import AuditInterceptor
from svc_runtime.interceptors.authorization import AuthorizationInterceptor
from svc_runtime.interceptors.calls_under_way import CallsUnderWay, assign_calls
from svc_runtime.interceptors.deadline import DeadlineInterceptor
from svc_runtime.interceptors.error_status import (
    RUNTIME_STATUS,
    ErrorStatusInterceptor,
    StatusTable,
)
from svc_runtime.interceptors.message_codec import MessageCodecInterceptor
from svc_runtime.interceptors.tracing import TracingInterceptor
from svc_runtime.telemetry.metrics_of_calls import REASON, RPC_METHOD
from svc_runtime.telemetry.spans import is_tracing

# A connection is verified once, when it is made, and must end soon after its certificate does. Its
# end is also when a client looks for replicas anew, and how a server that stops gets rid of it:
# this end loses no call. gRPC varies it by 10 %, so that not all come at once.
DEFAULT_CONNECTION_SECONDS: Final = 20.0
_AGE_GRACE_SECONDS: Final = 60.0  # more than the longest deadline, so that every call can end
# Room for two tokens of 16 KiB, the app's and its user's. Between the two bounds gRPC refuses by
# chance, and warns clients so; above the second it always does.
_MAX_METADATA_BYTES: Final = 40 * 1024
_ABSOLUTE_MAX_METADATA_BYTES: Final = 48 * 1024


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a server listens, and for whom.

    Attributes:
        address: `host:port`; port 0 takes a free one.
        credentials: The TLS side of the server.
        authenticator: Proves who calls.
        access_policy: Who may call what; reflection is added to it.
        connection_seconds: After which a connection takes no further calls. Those that it has go
            on, and the client makes a new connection.
    """

    address: str
    credentials: grpc.ServerCredentials
    authenticator: Authenticator
    access_policy: AccessPolicy
    connection_seconds: float = DEFAULT_CONNECTION_SECONDS


def build_server(
    *,
    listener: Listener,
    status_table: StatusTable,
    error_domain: str,
    max_deadline_seconds: float,
    max_message_bytes: int,
    register: Callable[[grpc.aio.Server], None],
    reflection_of: Sequence[str],
) -> tuple[grpc.aio.Server, int]:
    """Return a server that is bound but not started, and its port.

    Calls are lost that arrive while it is told to stop: `ServingPort` lets the clients leave first.
    It also notices when the server breaks.

    Args:
        listener: Where it listens, and for whom.
        status_table: gRPC code per error class of the service.
        error_domain: Names the service in error details, such as `keyvault.keyturn`.
        max_deadline_seconds: The longest deadline that a caller may ask for, inclusive.
        max_message_bytes: The largest message in either direction, inclusive.
        register: Adds the service's servicers.
        reflection_of: Full names of the services that reflection tells about.

    Raises:
        RuntimeError: The address cannot be bound.
    """
    policy = with_reflection(listener.access_policy)
    RPC_METHOD.allow(policy)
    REASON.allow(error.reason for error in (*RUNTIME_STATUS, *status_table))
    calls = CallsUnderWay()
    server = grpc.aio.server(
        # The first is the outermost. Audit sees everything; error_status answers for all inside.
        interceptors=[
            AuditInterceptor(SystemClock()),
            *([TracingInterceptor()] if is_tracing() else []),
            ErrorStatusInterceptor(status_table, error_domain),
            calls,
            DeadlineInterceptor(policy, max_deadline_seconds),
            AuthorizationInterceptor(listener.authenticator, policy),
            MessageCodecInterceptor(),
        ],
        options=[
            # Two processes on one port would share it silently; the second must fail instead.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
            ("grpc.absolute_max_metadata_size", _ABSOLUTE_MAX_METADATA_BYTES),
            ("grpc.max_connection_age_ms", round(listener.connection_seconds * 1000)),
            (
                "grpc.max_connection_age_grace_ms",
                round((max_deadline_seconds + _AGE_GRACE_SECONDS) * 1000),
            ),
        ],
    )
    assign_calls(server, calls)
    register(generic_only(server))
    _add_reflection(server, reflection_of)
    return server, server.add_secure_port(listener.address, listener.credentials)


def _add_reflection(server: grpc.aio.Server, service_names: Sequence[str]) -> None:
    """Serve reflection as v1 and v1alpha.

    The package knows v1alpha only. v1 differs in nothing but its name, and clients ask
    for it first.
    """
    servicer = reflection.aio.ReflectionServicer(service_names)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})
            for name in REFLECTION_SERVICES
        ]
    )
