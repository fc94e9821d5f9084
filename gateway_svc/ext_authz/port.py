"""The port where Envoys ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import grpc

from gateway_svc.ext_authz.access_policy import ENVOY_PORT, EnvoyIds
from gateway_svc.ext_authz.authorization_servicer import AuthorizationServicer
from keyturn.envoy.v3.external_auth_service_pb2_grpc import (
    add_AuthorizationServicer_to_server,
)
from svc_runtime.authentication import MTLSAuthenticator
from svc_runtime.grpc_server import Listener, build_server
from svc_runtime.interceptors.error_status import StatusTable
from svc_runtime.serving_port import ServingPort

SERVICE: Final = "envoy.service.auth.v3.Authorization"
# Envoy holds the app's request meanwhile. As long as the longest lease.
_MAX_SECONDS: Final = 30.0
# Room above the 10 MiB of a body, so that a larger one gets an error that names field and rule.
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024


def envoy_port(
    address: str,
    make_credentials: Callable[[], grpc.ServerCredentials],
    envoys: EnvoyIds,
    servicer: AuthorizationServicer,
    errors: tuple[str, StatusTable],
    connection_seconds: float,
) -> ServingPort:
    """Return the port, which serves nothing yet.

    Args:
        address: `host:port`; port 0 takes a free one.
        make_credentials: Makes the TLS side of a server, which asks for a client certificate. One
            serves one server: gRPC asks it for the first certificate once.
        envoys: Who may ask.
        servicer: Who answers.
        errors: What callers are told who may not: the domain of errors, and the code of each.
        connection_seconds: After which a connection takes no further calls.
    """
    error_domain, status_table = errors

    def register(server: grpc.aio.Server) -> None:
        add_AuthorizationServicer_to_server(servicer, server)

    def build(address: str) -> tuple[grpc.aio.Server, int]:
        return build_server(
            listener=Listener(
                address,
                make_credentials(),
                MTLSAuthenticator(envoys.roles_of),
                ENVOY_PORT,
                connection_seconds,
            ),
            status_table=status_table,
            error_domain=error_domain,
            max_deadline_seconds=_MAX_SECONDS,
            max_message_bytes=_MAX_MESSAGE_BYTES,
            register=register,
            reflection_of=(SERVICE,),
        )

    return ServingPort(build, address)
