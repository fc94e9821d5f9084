"""The gRPC ports: apps come with their certificate or a token, Envoys with their certificate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import grpc

from gateway_svc.apps import Apps
from gateway_svc.domain.proxied_calls import ProxiedCalls, ProxyRoute
from gateway_svc.domain.relay import Relay
from gateway_svc.ext_authz.access_policy import EnvoyIds
from gateway_svc.ext_authz.authorization_servicer import AuthorizationServicer, Handover, Refusals
from gateway_svc.ext_authz.port import envoy_port
from gateway_svc.http.error_status import http_error, internal_error
from gateway_svc.rpc.access_policy import APP_PORT
from gateway_svc.rpc.app_calls import AppCalls
from gateway_svc.rpc.error_status import ERROR_DOMAIN, ERROR_STATUS
from gateway_svc.rpc.services import SERVICES, add_services
from gateway_svc.settings import Settings
from svc_runtime.authentication import Authenticator, BearerAuthenticator, MTLSAuthenticator
from svc_runtime.grpc_credentials import mtls_server_credentials, tls_server_credentials
from svc_runtime.grpc_server import Listener, build_server
from svc_runtime.serving_port import ServingPort
from svc_runtime.tls_files import TLSFilesWatcher

# Room above the 10 MiB of a body, so that a larger one gets an error that names field and rule.
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024


def app_ports(
    settings: Settings, watcher: TLSFilesWatcher, apps: Apps, relay: Relay
) -> list[ServingPort]:
    """Return the ports of apps, which serve the same: by certificate and, if wanted, by token."""
    calls = AppCalls(apps.key_choice)

    def port(
        address: str,
        credentials_of: Callable[[TLSFilesWatcher], grpc.ServerCredentials],
        authenticator: Authenticator,
    ) -> ServingPort:
        def build(address: str) -> tuple[grpc.aio.Server, int]:
            return build_server(
                listener=Listener(
                    address,
                    credentials_of(watcher),
                    authenticator,
                    APP_PORT,
                    settings.connection_seconds,
                ),
                status_table=ERROR_STATUS,
                error_domain=ERROR_DOMAIN,
                max_deadline_seconds=settings.request_timeout_seconds,
                max_message_bytes=_MAX_MESSAGE_BYTES,
                register=lambda server: add_services(server, relay, calls),
                reflection_of=SERVICES,
            )

        return ServingPort(build, address)

    by_certificate = port(
        settings.grpc_address,
        mtls_server_credentials,
        MTLSAuthenticator(apps.ids.roles_of),
    )
    if settings.grpc_token_address is None:
        return [by_certificate]
    by_token = port(
        settings.grpc_token_address,
        tls_server_credentials,
        BearerAuthenticator(apps.caller_of),
    )
    return [by_certificate, by_token]


def envoy_ports(
    settings: Settings,
    watcher: TLSFilesWatcher,
    apps: Apps,
    calls: Callable[[ProxyRoute], ProxiedCalls],
) -> list[ServingPort]:
    """Return the port where Envoys ask, if there is to be one."""
    wanted = settings.ext_authz
    if wanted is None:
        return []
    return [
        envoy_port(
            wanted.address,
            partial(mtls_server_credentials, watcher),
            EnvoyIds(wanted.envoy_ids()),
            AuthorizationServicer(
                calls(ProxyRoute(wanted.upstream_base_url, settings.openai.base_url)),
                apps,
                Handover(wanted.upstream_base_url, wanted.key_header, wanted.takes_text_bodies),
                Refusals(http_error, internal_error),
            ),
            (ERROR_DOMAIN, ERROR_STATUS),
            settings.connection_seconds,
        )
    ]
