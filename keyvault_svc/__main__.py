"""The key service's command, and its one composition root: settings to adapters to servers."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import grpc
import structlog

from keyturn.keyvault.v1.grant_service_pb2_grpc import add_GrantServiceServicer_to_server
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import add_KeyLeaseServiceServicer_to_server
from keyturn.keyvault.v1.key_service_pb2_grpc import add_KeyServiceServicer_to_server
from keyturn.keyvault.v1.key_verification_service_pb2_grpc import (
    add_KeyVerificationServiceServicer_to_server,
)
from keyturn.keyvault.v1.owner_service_pb2_grpc import add_OwnerServiceServicer_to_server
from keyvault_svc.bootstrap_command import BootstrapCommand, bootstrap
from keyvault_svc.command_line import make_parser
from keyvault_svc.domain.leasing import KeyLeasing
from keyvault_svc.domain.roles import GATEWAY
from keyvault_svc.domain.upkeep import Upkeep
from keyvault_svc.domain.verifying import KeyVerifying
from keyvault_svc.identity.people import PeopleByToken
from keyvault_svc.key_life import KeyLife
from keyvault_svc.lease_log import SettlementLog
from keyvault_svc.limits.in_process_ledger import InProcessLedger
from keyvault_svc.price_file import load_prices
from keyvault_svc.rewrap_command import RewrapOptions, rewrap
from keyvault_svc.rpc.access_policy import GATEWAY_PORT, OWNER_PORT
from keyvault_svc.rpc.error_status import ERROR_DOMAIN, ERROR_STATUS
from keyvault_svc.rpc.grant_servicer import GrantServicer
from keyvault_svc.rpc.key_lease_servicer import KeyLeaseServicer
from keyvault_svc.rpc.key_servicer import KeyServicer
from keyvault_svc.rpc.key_verification_servicer import KeyVerificationServicer
from keyvault_svc.rpc.owner_servicer import OwnerServicer
from keyvault_svc.settings import Settings
from svc_runtime.authentication import BearerAuthenticator, MTLSAuthenticator
from svc_runtime.call_context import new_request_id
from svc_runtime.clock import Clock, SystemClock
from svc_runtime.grpc_credentials import mtls_server_credentials, tls_server_credentials
from svc_runtime.grpc_server import Listener, build_server
from svc_runtime.health import HealthServer
from svc_runtime.issuers import jwt_verifier, workload_tokens
from svc_runtime.logging_setup import configure_logging
from svc_runtime.process import stop_together, until_told_to_stop
from svc_runtime.readiness import follow_readiness
from svc_runtime.service_error import ServiceError
from svc_runtime.serving_port import ServerBrokeError, ServingPort
from svc_runtime.settings_models import SettingsError
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.tls_files import TLSFiles, TLSFilesError, TLSFilesWatcher
from svc_runtime.vault.connect import vault_session

_log = structlog.get_logger()

_USAGE_EXIT: Final = 2
_BROKEN_EXIT: Final = 70  # EX_SOFTWARE
_SERVICE: Final = "keyvault-svc"
_OWNER_SERVICES: Final = (
    "keyturn.keyvault.v1.KeyService",
    "keyturn.keyvault.v1.GrantService",
    "keyturn.keyvault.v1.OwnerService",
)
_GATEWAY_SERVICES: Final = (
    "keyturn.keyvault.v1.KeyLeaseService",
    "keyturn.keyvault.v1.KeyVerificationService",
)
_MAX_MESSAGE_BYTES: Final = 1024 * 1024  # the largest are a batch of settlements and a listing
_EXPIRY_SECONDS: Final = 5.0  # how often unsettled leases are looked for
_UPKEEP_SECONDS: Final = 30.0  # how often what is to be destroyed is looked for


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*, that of the process by default; return the exit code."""
    arguments = make_parser().parse_args(argv)
    try:
        settings = Settings.load(arguments.config)
        if arguments.command == "bootstrap":
            command = BootstrapCommand(
                arguments.token_file, arguments.emit, arguments.dry_run, arguments.json
            )
            return bootstrap(settings, command)
        if arguments.command == "rewrap":
            options = RewrapOptions(arguments.rate, not arguments.no_rotate, arguments.grace)
            return rewrap(settings, options)
        asyncio.run(serve(settings))
    except (SettingsError, TLSFilesError) as error:
        sys.stderr.write(f"keyvault-svc: {error}\n")
        return _USAGE_EXIT
    except ServerBrokeError:
        return _BROKEN_EXIT
    return 0


async def serve(settings: Settings) -> None:
    """Serve until the process is told to stop, then let calls in flight end.

    Raises:
        TLSFilesError: The certificate cannot be used.
        SettingsError: The file of prices cannot be used.
        RuntimeError: An address cannot be listened on.
    """
    configure_logging(_SERVICE)
    clock = SystemClock()
    log = SettlementLog(load_prices(settings.prices_file))
    async with AsyncExitStack() as stack:
        watcher = TLSFilesWatcher(TLSFiles(**settings.tls.model_dump()), clock)
        health = HealthServer(settings.health_address)
        await health.start()
        stack.push_async_callback(health.stop)
        session = await stack.enter_async_context(vault_session(settings.vault, clock))
        people_verifier = jwt_verifier([settings.people], clock)
        stack.push_async_callback(people_verifier.aclose)
        app_verifier = jwt_verifier(settings.app_issuers, clock)
        stack.push_async_callback(app_verifier.aclose)

        life = KeyLife(session, settings, clock)
        ledger = InProcessLedger(clock, settle_within_seconds=settings.settle_within_seconds)
        leasing = KeyLeasing(
            life.records,
            life.handoff,
            ledger,
            life.verifying,
            workload_tokens(app_verifier, settings.app_issuers),
            clock,
        )
        people = PeopleByToken(
            people_verifier,
            name_claim=settings.people.name_claim,
            groups_claim=settings.people.groups_claim,
        )
        ports = [
            _owner_port(settings, watcher, people, life, clock),
            _gateway_port(settings, watcher, leasing, life.verifying, log),
        ]
        stack.push_async_callback(stop_together, ports, settings.drain_seconds)
        for port in ports:
            await port.start()
        stack.push_async_callback(health.drain)
        for task in (
            _log_unsettled(ledger, log, clock),
            _tidy(life.upkeep),
            follow_readiness(
                health, (*_OWNER_SERVICES, *_GATEWAY_SERVICES), lambda: session.is_ready
            ),
        ):
            stack.callback(asyncio.create_task(task).cancel)
        _log.info("serving", count=len(ports))
        await until_told_to_stop(ports)
        _log.info("stopping")


def _owner_port(
    settings: Settings,
    watcher: TLSFilesWatcher,
    people: PeopleByToken,
    life: KeyLife,
    clock: Clock,
) -> ServingPort:
    policy = settings.keys.policy()

    def register(server: grpc.aio.Server) -> None:
        add_KeyServiceServicer_to_server(KeyServicer(life.custody, policy, clock), server)
        add_GrantServiceServicer_to_server(GrantServicer(life.consent), server)
        add_OwnerServiceServicer_to_server(OwnerServicer(life.erasure, policy, clock), server)

    def build(address: str) -> tuple[grpc.aio.Server, int]:
        return build_server(
            listener=Listener(
                address,
                tls_server_credentials(watcher),
                BearerAuthenticator(people.verify),
                OWNER_PORT,
            ),
            status_table=ERROR_STATUS,
            error_domain=ERROR_DOMAIN,
            max_deadline_seconds=settings.max_deadline_seconds,
            max_message_bytes=_MAX_MESSAGE_BYTES,
            register=register,
            reflection_of=_OWNER_SERVICES,
        )

    return ServingPort(build, settings.owner_address)


def _gateway_port(
    settings: Settings,
    watcher: TLSFilesWatcher,
    leasing: KeyLeasing,
    verifying: KeyVerifying,
    log: SettlementLog,
) -> ServingPort:
    gateways = frozenset(settings.gateways)

    def roles_of(spiffe_id: SpiffeId) -> frozenset[str]:
        return frozenset({GATEWAY}) if str(spiffe_id) in gateways else frozenset()

    def register(server: grpc.aio.Server) -> None:
        add_KeyLeaseServiceServicer_to_server(KeyLeaseServicer(leasing, log), server)
        add_KeyVerificationServiceServicer_to_server(KeyVerificationServicer(verifying), server)

    def build(address: str) -> tuple[grpc.aio.Server, int]:
        return build_server(
            listener=Listener(
                address,
                mtls_server_credentials(watcher),
                MTLSAuthenticator(roles_of),
                GATEWAY_PORT,
            ),
            status_table=ERROR_STATUS,
            error_domain=ERROR_DOMAIN,
            max_deadline_seconds=settings.max_deadline_seconds,
            max_message_bytes=_MAX_MESSAGE_BYTES,
            register=register,
            reflection_of=_GATEWAY_SERVICES,
        )

    return ServingPort(build, settings.gateway_address)


async def _log_unsettled(ledger: InProcessLedger, log: SettlementLog, clock: Clock) -> None:
    """Settle leases that nobody settled in time, and log them."""
    while True:
        for settlement in ledger.expire(clock.now()):
            log.write(settlement)
        await asyncio.sleep(_EXPIRY_SECONDS)


async def _tidy(upkeep: Upkeep) -> None:
    """Destroy what has to be gone, for as long as the process lives."""
    while True:
        # Replicas that started together shall not look at the same time.
        await asyncio.sleep(_UPKEEP_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        try:
            result = await upkeep.run(new_request_id())
        except ServiceError as error:
            _log.warning("upkeep_failed", reason=error.reason)
            continue
        except Exception as error:  # noqa: BLE001 - one fault must not end all upkeep
            _log.error("internal_error", exc_info=error)
            continue
        if result.done:
            _log.info("upkeep", count=result.done)
        if result.failed:
            _log.warning("upkeep_failed", count=result.failed)


if __name__ == "__main__":
    sys.exit(main())
