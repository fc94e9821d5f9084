"""The key service's command, and its one composition root: settings to adapters to servers."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import structlog

from keyvault_svc.background import settle_overdue, tidy
from keyvault_svc.bootstrap_command import BootstrapCommand, bootstrap, bootstrap_options
from keyvault_svc.command_line import make_parser
from keyvault_svc.coverage_command import CoverageOptions, coverage
from keyvault_svc.domain.lease_proofs import LeaseProver
from keyvault_svc.doors import Doors
from keyvault_svc.health_command import check_health
from keyvault_svc.identity.people import PeopleByToken
from keyvault_svc.key_life import KeyLife
from keyvault_svc.lease_life import LeaseLife
from keyvault_svc.limits.measured_store import MeasuredLimitStore
from keyvault_svc.limits.opening import open_store
from keyvault_svc.log_events import EVENTS
from keyvault_svc.metrics import NOTIFICATIONS_WAITING
from keyvault_svc.notifications.channels import open_channels
from keyvault_svc.notifications.outbox import Outbox
from keyvault_svc.ports import GATEWAY_SERVICES, OWNER_SERVICES, gateway_port, owner_port
from keyvault_svc.price_file import load_prices
from keyvault_svc.remind_command import RemindOptions, remind
from keyvault_svc.rewrap_command import RewrapOptions, rewrap
from keyvault_svc.settings import Settings
from svc_runtime.audit_stream.checkpoints import checkpoints
from svc_runtime.audit_stream.logs import audited_logs
from svc_runtime.clock import SystemClock
from svc_runtime.health import HealthServer
from svc_runtime.issuers import jwt_verifier, workload_tokens
from svc_runtime.process import (
    heed_sigterm,
    stop_together,
    unless_told_to_stop,
    until_told_to_stop,
)
from svc_runtime.readiness import follow_readiness
from svc_runtime.serving_port import ServerBrokeError
from svc_runtime.settings_models import SettingsError
from svc_runtime.start_error import StartError
from svc_runtime.telemetry.measuring import measuring
from svc_runtime.telemetry.tracing import tracing
from svc_runtime.tls_files import TLSFiles, TLSFilesError
from svc_runtime.tls_files_wait import awaited_tls_files
from svc_runtime.vault.connect import vault_session
from svc_runtime.vault.transit_signer import TransitSigner

_log = structlog.get_logger()

_STOPPED_EXIT: Final = 1
_USAGE_EXIT: Final = 2
_BROKEN_EXIT: Final = 70  # EX_SOFTWARE
_SERVICE: Final = "keyvault-svc"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*, that of the process by default; return the exit code."""
    arguments = make_parser().parse_args(argv)
    heed_sigterm()
    try:
        if arguments.command == "check-health":
            return check_health(arguments.questions, arguments.wait)
        return _run(arguments, Settings.load(arguments.config))
    except (SettingsError, TLSFilesError, StartError) as error:
        sys.stderr.write(f"keyvault-svc: {error}\n")
        return _USAGE_EXIT
    except ServerBrokeError:
        return _BROKEN_EXIT
    except (asyncio.CancelledError, KeyboardInterrupt):
        if arguments.command == "serve":
            return 0
        sys.stderr.write("keyvault-svc: It was told to stop before it was done. Run it again.\n")
        return _STOPPED_EXIT


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    match arguments.command:
        case "bootstrap":
            command = BootstrapCommand(
                arguments.token_file,
                arguments.emit,
                is_dry_run=arguments.dry_run,
                is_json=arguments.json,
                wait_seconds=arguments.wait,
                is_manual_accepted=arguments.accept_manual,
            )
            return bootstrap(settings, command)
        case "check-settings":
            if settings.bootstrap is not None:
                bootstrap_options(settings.bootstrap)
            sys.stdout.write(f"{arguments.config}: the settings can be used\n")
            return 0
        case "rewrap":
            options = RewrapOptions(arguments.rate, not arguments.no_rotate, arguments.grace)
            return rewrap(settings, options)
        case "remind":
            return remind(settings, RemindOptions(arguments.within, arguments.rate))
        case "coverage":
            return coverage(settings, CoverageOptions(arguments.rate, arguments.json))
        case _:
            asyncio.run(unless_told_to_stop(serve(settings)))
            return 0


async def serve(settings: Settings) -> None:
    """Serve until the process is told to stop, then let calls in flight end.

    Raises:
        TLSFilesError: The certificate cannot be used.
        StartError: The machine lacks something.
        SettingsError: A file that a setting names cannot be used.
        RuntimeError: An address cannot be listened on.
    """
    clock = SystemClock()
    prices = load_prices(settings.prices_file)
    async with AsyncExitStack() as stack:
        audit = stack.enter_context(audited_logs(_SERVICE, settings, EVENTS))
        await stack.enter_async_context(tracing(settings.telemetry, _SERVICE))
        health = HealthServer(settings.health_address)
        await health.start()
        stack.push_async_callback(health.stop)
        watcher = await awaited_tls_files(
            TLSFiles(**settings.tls.model_dump()), clock, settings.certificate_wait_seconds
        )
        session = await stack.enter_async_context(vault_session(settings.vault, clock))
        await stack.enter_async_context(checkpoints(audit, TransitSigner(session, _SERVICE), clock))
        people_verifier = jwt_verifier([settings.people], clock)
        stack.push_async_callback(people_verifier.aclose)
        app_verifier = jwt_verifier(settings.app_issuers, clock)
        stack.push_async_callback(app_verifier.aclose)
        opened = open_store(settings.limits)
        store = MeasuredLimitStore(opened)
        stack.push_async_callback(store.close)
        baselines = opened.baselines()
        stack.push_async_callback(baselines.close)
        outbox = Outbox(open_channels(settings.notifications, clock), clock)
        outbox.start()
        stack.push_async_callback(outbox.stop, settings.notifications.drain_seconds)
        NOTIFICATIONS_WAITING.follow_all(
            lambda: [(count, (kind,)) for kind, count in outbox.waiting().items()]
        )
        metrics_address = settings.telemetry.metrics_address
        await stack.enter_async_context(measuring(_SERVICE, metrics_address, session, watcher))

        people = PeopleByToken(
            people_verifier,
            clock,
            name_claim=settings.people.name_claim,
            groups_claim=settings.people.groups_claim,
            rules=settings.people.role_rules(),
            auth_time_claim=settings.people.auth_time_claim,
        )
        prover = LeaseProver(workload_tokens(app_verifier, settings.app_issuers), people)
        doors = Doors(session, audit, store, baselines, outbox, prices)
        keys = KeyLife(doors, settings, clock)
        leases = LeaseLife(doors, keys, prover, settings, clock)
        ports = [
            owner_port(settings, watcher, people, keys, leases, clock),
            gateway_port(settings, watcher, keys, leases),
        ]
        stack.push_async_callback(leases.settling.close)
        stack.push_async_callback(stop_together, ports, settings.drain_seconds)
        for port in ports:
            await port.start()
        stack.push_async_callback(health.drain)
        for task in (
            settle_overdue(leases.accounts),
            tidy(keys.upkeep),
            leases.anomalies.run(),
            follow_readiness(
                health, (*OWNER_SERVICES, *GATEWAY_SERVICES), lambda: session.is_ready
            ),
        ):
            stack.callback(asyncio.create_task(task).cancel)
        _log.info("serving", count=len(ports))
        await until_told_to_stop(ports)
        _log.info("stopping")


if __name__ == "__main__":
    sys.exit(main())
