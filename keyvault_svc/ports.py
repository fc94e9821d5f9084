"""The two ports: owners come with an ID token, gateways with their certificate."""

from __future__ import annotations

from typing import Final

import grpc

from keyturn.keyvault.v1.grant_request_service_pb2_grpc import (
    add_GrantRequestServiceServicer_to_server,
)
from keyturn.keyvault.v1.grant_service_pb2_grpc import add_GrantServiceServicer_to_server
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import add_KeyLeaseServiceServicer_to_server
from keyturn.keyvault.v1.key_service_pb2_grpc import add_KeyServiceServicer_to_server
from keyturn.keyvault.v1.key_verification_service_pb2_grpc import (
    add_KeyVerificationServiceServicer_to_server,
)
from keyturn.keyvault.v1.operator_service_pb2_grpc import add_OperatorServiceServicer_to_server
from keyturn.keyvault.v1.owner_service_pb2_grpc import add_OwnerServiceServicer_to_server
from keyturn.keyvault.v1.reconciliation_service_pb2_grpc import (
    add_ReconciliationServiceServicer_to_server,
)
from keyturn.keyvault.v1.usage_service_pb2_grpc import add_UsageServiceServicer_to_server
from keyvault_svc.domain.roles import GATEWAY
from keyvault_svc.identity.people import PeopleByToken
from keyvault_svc.key_life import KeyLife
from keyvault_svc.lease_life import LeaseLife
from keyvault_svc.rpc.access_policy import GATEWAY_PORT, OWNER_PORT
from keyvault_svc.rpc.error_status import ERROR_DOMAIN, ERROR_STATUS
from keyvault_svc.rpc.grant_request_servicer import GrantRequestServicer
from keyvault_svc.rpc.grant_servicer import GrantServicer
from keyvault_svc.rpc.key_lease_servicer import KeyLeaseServicer
from keyvault_svc.rpc.key_servicer import KeyServicer
from keyvault_svc.rpc.key_verification_servicer import KeyVerificationServicer
from keyvault_svc.rpc.operator_servicer import OperatorServicer
from keyvault_svc.rpc.owner_servicer import OwnerServicer
from keyvault_svc.rpc.reconciliation_servicer import ReconciliationServicer
from keyvault_svc.rpc.usage_servicer import UsageServicer
from keyvault_svc.settings import Settings
from svc_runtime.authentication import BearerAuthenticator, MTLSAuthenticator
from svc_runtime.clock import Clock
from svc_runtime.grpc_credentials import mtls_server_credentials, tls_server_credentials
from svc_runtime.grpc_server import Listener, build_server
from svc_runtime.serving_port import ServingPort
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.tls_files import TLSFilesWatcher

_MAX_MESSAGE_BYTES: Final = 1024 * 1024  # the largest are a batch of settlements and a listing
OWNER_SERVICES: Final = (
    "keyturn.keyvault.v1.KeyService",
    "keyturn.keyvault.v1.GrantService",
    "keyturn.keyvault.v1.GrantRequestService",
    "keyturn.keyvault.v1.UsageService",
    "keyturn.keyvault.v1.OwnerService",
    "keyturn.keyvault.v1.OperatorService",
)
GATEWAY_SERVICES: Final = (
    "keyturn.keyvault.v1.KeyLeaseService",
    "keyturn.keyvault.v1.KeyVerificationService",
    "keyturn.keyvault.v1.ReconciliationService",
)


def owner_port(
    settings: Settings,
    watcher: TLSFilesWatcher,
    people: PeopleByToken,
    keys: KeyLife,
    leases: LeaseLife,
    clock: Clock,
) -> ServingPort:
    """Return the port of people: TLS and an ID token."""
    policy = settings.key_policy()

    def register(server: grpc.aio.Server) -> None:
        add_KeyServiceServicer_to_server(KeyServicer(keys.custody, policy, clock), server)
        add_GrantServiceServicer_to_server(GrantServicer(keys.consent), server)
        add_GrantRequestServiceServicer_to_server(GrantRequestServicer(keys.asking), server)
        add_UsageServiceServicer_to_server(UsageServicer(leases.reporting), server)
        add_OwnerServiceServicer_to_server(OwnerServicer(keys.erasure, policy, clock), server)
        add_OperatorServiceServicer_to_server(OperatorServicer(keys.operating), server)

    def build(address: str) -> tuple[grpc.aio.Server, int]:
        return build_server(
            listener=Listener(
                address,
                tls_server_credentials(watcher),
                BearerAuthenticator(people.verify),
                OWNER_PORT,
                settings.connection_seconds,
            ),
            status_table=ERROR_STATUS,
            error_domain=ERROR_DOMAIN,
            max_deadline_seconds=settings.max_deadline_seconds,
            max_message_bytes=_MAX_MESSAGE_BYTES,
            register=register,
            reflection_of=OWNER_SERVICES,
        )

    return ServingPort(build, settings.owner_address)


def gateway_port(
    settings: Settings, watcher: TLSFilesWatcher, keys: KeyLife, leases: LeaseLife
) -> ServingPort:
    """Return the port of gateways: mTLS."""
    gateways = frozenset(settings.gateways)

    def roles_of(spiffe_id: SpiffeId) -> frozenset[str]:
        return frozenset({GATEWAY}) if str(spiffe_id) in gateways else frozenset()

    def register(server: grpc.aio.Server) -> None:
        servicer = KeyLeaseServicer(leases.leasing, leases.settling)
        add_KeyLeaseServiceServicer_to_server(servicer, server)
        admin_key = settings.reconciliation.admin_key_name()
        verifications = KeyVerificationServicer(keys.verifying, admin_key)
        add_KeyVerificationServiceServicer_to_server(verifications, server)
        reconciliations = ReconciliationServicer(keys.reconciling)
        add_ReconciliationServiceServicer_to_server(reconciliations, server)

    def build(address: str) -> tuple[grpc.aio.Server, int]:
        return build_server(
            listener=Listener(
                address,
                mtls_server_credentials(watcher),
                MTLSAuthenticator(roles_of),
                GATEWAY_PORT,
                settings.connection_seconds,
            ),
            status_table=ERROR_STATUS,
            error_domain=ERROR_DOMAIN,
            max_deadline_seconds=settings.max_deadline_seconds,
            max_message_bytes=_MAX_MESSAGE_BYTES,
            register=register,
            reflection_of=GATEWAY_SERVICES,
        )

    return ServingPort(build, settings.gateway_address)
