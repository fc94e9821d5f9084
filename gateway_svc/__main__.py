"""The gateway's command, and its one composition root: settings to adapters to servers."""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from gateway_svc.apps import Apps
from gateway_svc.audited_opener import AuditedOpener
from gateway_svc.domain.key_name import KeyChoice
from gateway_svc.domain.lease_ports import KeyLeaser
from gateway_svc.domain.live_ports import LiveUpstream
from gateway_svc.domain.live_relay import LiveRelay
from gateway_svc.domain.patient_leaser import PatientKeyLeaser
from gateway_svc.domain.proxied_calls import ProxiedCalls
from gateway_svc.domain.relay import Relay
from gateway_svc.domain.roles import AppIds
from gateway_svc.domain.upstream_ports import Upstream
from gateway_svc.domain.verifier import Verifier
from gateway_svc.http.caller import HTTPAuthenticator
from gateway_svc.http.front import HTTPFront
from gateway_svc.http.server import HTTPServer
from gateway_svc.keyvault_client.key_leaser import GrpcKeyLeaser
from gateway_svc.keyvault_client.measured_leaser import MeasuredKeyLeaser
from gateway_svc.keyvault_client.settlement_queue import SettlementQueue
from gateway_svc.keyvault_client.verification_desk import GrpcVerificationDesk
from gateway_svc.log_events import EVENTS
from gateway_svc.metrics import MODEL, SETTLEMENTS_WAITING
from gateway_svc.openai_api.aiohttp_upstream import AiohttpUpstream
from gateway_svc.openai_api.traced_upstream import TracedLiveUpstream, TracedUpstream
from gateway_svc.openai_api.websocket_upstream import WebSocketUpstream
from gateway_svc.ports import app_ports, envoy_ports
from gateway_svc.rpc.services import SERVICES
from gateway_svc.settings import OpenAISettings, Settings
from gateway_svc.vault.transit_opener import TransitOpener
from gateway_svc.vault.unwrapper import Unwrapper
from gateway_svc.verification_worker import VerificationWorker
from svc_runtime.audit_stream.checkpoints import checkpoints
from svc_runtime.audit_stream.logs import audited_logs
from svc_runtime.clock import SystemClock
from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.health import HealthServer
from svc_runtime.http_tls import server_ssl_context
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
from svc_runtime.telemetry.spans import is_tracing
from svc_runtime.telemetry.tracing import tracing
from svc_runtime.tls_files import TLSFiles, TLSFilesError
from svc_runtime.tls_files_wait import awaited_tls_files
from svc_runtime.vault.connect import vault_session
from svc_runtime.vault.transit_signer import TransitSigner

_log = structlog.get_logger()

_STOPPED_EXIT: Final = 1
_USAGE_EXIT: Final = 2
_BROKEN_EXIT: Final = 70  # EX_SOFTWARE
_SERVICE: Final = "gateway-svc"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*, that of the process by default; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="gateway-svc", description="Calls OpenAI with owners' keys."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="serve apps until SIGTERM")
    reconciling = commands.add_parser(
        "reconcile",
        help="find keys that are used beside Keyturn, by what OpenAI counted; for a daily job",
        epilog="Exit codes: 0 none is, 1 not done (the message says why; run it again), "
        "2 bad settings, 3 some are, and their owners were told.",
    )
    checking = commands.add_parser(
        "check-settings", help="say what is wrong with a settings file, and end; ask nobody"
    )
    for command in (serving, reconciling, checking):
        command.add_argument("--config", type=Path, required=True, help="settings file, TOML")
    reconciling.add_argument(
        "--day",
        type=date.fromisoformat,
        help="day in UTC, such as 2027-01-31 (default: the last that OpenAI has counted)",
    )
    reconciling.add_argument("--json", action="store_true", help="print the report as JSON")
    arguments = parser.parse_args(argv)
    heed_sigterm()
    try:
        settings = Settings.load(arguments.config)
        match arguments.command:
            case "check-settings":
                sys.stdout.write(f"{arguments.config}: the settings can be used\n")
            case "reconcile":
                # What serves does without OpenAI's SDK: half a second to import, and memory.
                from gateway_svc.reconcile_command import (  # noqa: PLC0415
                    ReconcileOptions,
                    reconcile,
                )

                return reconcile(settings, ReconcileOptions(arguments.day, arguments.json))
            case _:
                asyncio.run(unless_told_to_stop(serve(settings)))
    except (SettingsError, TLSFilesError, StartError) as error:
        sys.stderr.write(f"gateway-svc: {error}\n")
        return _USAGE_EXIT
    except ServerBrokeError:
        return _BROKEN_EXIT
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 0 if arguments.command == "serve" else _STOPPED_EXIT
    return 0


async def serve(settings: Settings) -> None:
    """Serve until the process is told to stop, then let calls in flight end.

    Raises:
        TLSFilesError: The certificate cannot be used.
        StartError: The machine lacks something.
        RuntimeError: An address cannot be listened on.
    """
    clock = SystemClock()
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
        verifier = jwt_verifier(settings.app_issuers, clock)
        stack.push_async_callback(verifier.aclose)
        upstream = _upstream(settings.openai)
        await upstream.start()
        stack.push_async_callback(upstream.close)
        openai: Upstream = upstream
        live_openai: LiveUpstream = WebSocketUpstream(upstream)
        if is_tracing():
            openai = TracedUpstream(openai, upstream.url_of, clock)
            live_openai = TracedLiveUpstream(live_openai, upstream.url_of)
        channel = ReloadingChannel(
            settings.key_service.target, watcher, server_name=settings.key_service.server_name
        )
        stack.push_async_callback(channel.close)
        queue = SettlementQueue(channel)
        queue.start()
        stack.push_async_callback(queue.close)

        metrics_address = settings.telemetry.metrics_address
        SETTLEMENTS_WAITING.follow(queue.__len__)
        MODEL.allow(settings.measured_models)
        await stack.enter_async_context(measuring(_SERVICE, metrics_address, session, watcher))

        opener = AuditedOpener(TransitOpener(session, Unwrapper(session, clock)), audit, clock)
        patient = PatientKeyLeaser(GrpcKeyLeaser(channel, queue))
        stack.push_async_callback(patient.close)
        leaser: KeyLeaser = MeasuredKeyLeaser(patient, clock) if metrics_address else patient
        relay = Relay(
            leaser, opener, openai, clock, max_upload_bytes=settings.openai.max_upload_bytes
        )
        desk = GrpcVerificationDesk(channel)
        worker = VerificationWorker(
            Verifier(desk, opener, openai, clock, settings.verification.model),
            poll_seconds=settings.verification.poll_seconds,
            concurrency=settings.verification.concurrency,
        )
        apps = Apps(
            AppIds(settings.app_id_prefix),
            workload_tokens(verifier, settings.app_issuers),
            KeyChoice(settings.keys_by_app()),
        )
        # Not the measured leaser: OpenAI's answers to these calls pass by somebody else.
        proxied = partial(ProxiedCalls, patient, opener, clock)
        grpc_ports = [
            *app_ports(settings, watcher, apps, relay),
            *envoy_ports(settings, watcher, apps, proxied),
        ]
        front = HTTPFront(
            relay,
            LiveRelay(leaser, opener, live_openai, clock),
            HTTPAuthenticator(apps, clock),
            apps.key_choice,
            request_timeout_seconds=settings.request_timeout_seconds,
        )
        http_server = HTTPServer(front, server_ssl_context(watcher), address=settings.http_address)
        stack.push_async_callback(stop_together, [*grpc_ports, http_server], settings.drain_seconds)
        for port in grpc_ports:
            await port.start()
        await http_server.start()
        stack.push_async_callback(health.drain)
        for task in (follow_readiness(health, SERVICES, lambda: session.is_ready), worker.run()):
            stack.callback(asyncio.create_task(task).cancel)
        _log.info("serving", count=len(grpc_ports) + 1)
        await until_told_to_stop(grpc_ports)
        _log.info("stopping")


def _upstream(settings: OpenAISettings) -> AiohttpUpstream:
    tls = None
    if settings.base_url.startswith("https://"):
        tls = ssl.create_default_context(cafile=settings.ca_file)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
    return AiohttpUpstream(
        settings.base_urls,
        tls,
        max_connections=settings.max_connections,
        allows_private_addresses=settings.allow_private_addresses or settings.is_local,
    )


if __name__ == "__main__":
    sys.exit(main())
