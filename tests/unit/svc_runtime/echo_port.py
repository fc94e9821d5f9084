"""A port that serves Echo, with connections that end soon."""

from __future__ import annotations

import grpc

from svc_runtime.access_policy import MethodAccess
from svc_runtime.authentication import MTLSAuthenticator
from svc_runtime.grpc_server import Listener, build_server
from svc_runtime.serving_port import ServingPort
from tests.unit.svc_runtime.interceptors import loopback_tls
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Act,
    EchoService,
    do_nothing,
    method_of,
)


def echo_port(act: Act = do_nothing) -> ServingPort:
    """Return it; each call of an app awaits *act*."""
    roles = frozenset({"app"})

    def build(address: str) -> tuple[grpc.aio.Server, int]:
        return build_server(
            listener=Listener(
                address=address,
                credentials=loopback_tls.server_credentials(),
                authenticator=MTLSAuthenticator(lambda _: roles),
                access_policy={method_of(kind): MethodAccess(roles) for kind in KINDS},
                connection_seconds=0.5,
            ),
            status_table={},
            error_domain="test.keyturn",
            max_deadline_seconds=30,
            max_message_bytes=64 * 1024,
            register=EchoService(act).register,
            reflection_of=["grpc.health.v1.Health"],
        )

    return ServingPort(build, "127.0.0.1:0")
