"""`gateway-svc reconcile`: finds keys that are used beside Keyturn, with a progress bar."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final, Never

import structlog
from tqdm import tqdm

from gateway_svc.audited_opener import AuditedOpener
from gateway_svc.domain.errors import KeyRejectedUpstreamError, UpstreamForbiddenError
from gateway_svc.domain.reconciler import Reconciler, Reconciliation
from gateway_svc.domain.reconciliation import (
    AdminKeyMissingError,
    AdminLease,
    Counted,
    UsageQuestion,
)
from gateway_svc.keyvault_client.reconciliation_desk import GrpcReconciliationDesk
from gateway_svc.log_events import EVENTS
from gateway_svc.openai_api.usage_admin import OpenAIUsageAdmin
from gateway_svc.settings import OpenAISettings, Settings
from gateway_svc.vault.transit_opener import TransitOpener
from gateway_svc.vault.unwrapper import Unwrapper
from svc_runtime.audit_stream.checkpoints import checkpoints
from svc_runtime.audit_stream.logs import audited_logs
from svc_runtime.clock import Clock, SystemClock
from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.process import unless_told_to_stop
from svc_runtime.service_error import ServiceError
from svc_runtime.tls_files import TLSFiles
from svc_runtime.tls_files_wait import awaited_tls_files
from svc_runtime.vault.connect import vault_session
from svc_runtime.vault.transit_signer import TransitSigner

_log = structlog.get_logger()

_SERVICE: Final = "gateway-svc"
_DONE: Final = 0
_FAILED: Final = 1
_FOUND: Final = 3
_COLUMNS: Final = ("key", "id at OpenAI", "Keyturn", "OpenAI", "difference", "finding")


class StructuredQuestionLog:
    """Writes event `usage_asked`."""

    def asked(self, leased: AdminLease, question: UsageQuestion, outcome: str) -> None:
        """Log what was asked; by the lease it is joined with the decrypt in Vault's audit log."""
        _log.info(
            "usage_asked",
            request_id=leased.request_id,
            lease=leased.lease.lease_id,
            key=str(leased.key),
            app=str(leased.app),
            endpoint=f"organization/usage/{question.kind}",
            outcome=outcome,
        )


@dataclass(frozen=True, slots=True)
class ReconcileOptions:
    """What the operator may choose.

    Attributes:
        day: In UTC; None for the last that can be compared.
        as_json: Whether to print JSON in place of a table.
    """

    day: date | None
    as_json: bool


def reconcile(settings: Settings, options: ReconcileOptions) -> int:
    """Run the job to its end, and return the exit code.

    The report goes to standard output, and the log, which is an audit stream as that of the serving
    process, to standard error: whoever verifies the one must not meet the other in it.

    Raises:
        TLSFilesError: The certificate cannot be used.
        SettingsError: The file of the audit stream cannot be written.
    """
    report = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        result = asyncio.run(unless_told_to_stop(_run(settings, options, SystemClock())))
    except asyncio.CancelledError:
        return _complain("It was told to stop before it was done. Run it again.")
    except AdminKeyMissingError:
        return _complain(
            "The key service has no admin key: name one in its settings, "
            "`reconciliation.admin_key`, and add it by `keyturn keys add`."
        )
    except KeyRejectedUpstreamError:
        return _complain(
            "OpenAI refused the admin key. Rotate it. Nothing was compared, and nobody was told."
        )
    except UpstreamForbiddenError:
        return _complain(
            "The admin key may not read usage at OpenAI. Nothing was compared, and nobody was told."
        )
    except ServiceError as error:
        return _complain(f"{error.reason}: {error.public_message} Run it again.")
    with report:
        report.write(_as_json(result) if options.as_json else _as_table(result))
    return _FOUND if result.used_elsewhere else _DONE


async def _run(settings: Settings, options: ReconcileOptions, clock: Clock) -> Reconciliation:
    async with AsyncExitStack() as stack:
        audit = stack.enter_context(audited_logs(_SERVICE, settings, EVENTS))
        watcher = await awaited_tls_files(
            TLSFiles(**settings.tls.model_dump()), clock, settings.certificate_wait_seconds
        )
        session = await stack.enter_async_context(vault_session(settings.vault, clock))
        await stack.enter_async_context(checkpoints(audit, TransitSigner(session, _SERVICE), clock))
        channel = ReloadingChannel(
            settings.key_service.target, watcher, server_name=settings.key_service.server_name
        )
        stack.push_async_callback(channel.close)
        admin = _usage_admin(settings.openai)
        stack.push_async_callback(admin.close)
        job = Reconciler(
            GrpcReconciliationDesk(channel),
            AuditedOpener(TransitOpener(session, Unwrapper(session, clock)), audit, clock),
            admin,
            StructuredQuestionLog(),
            clock,
            asyncio.sleep,
        )
        bar: tqdm[Never] = stack.enter_context(
            tqdm(
                desc="asking OpenAI",
                unit="question",
                mininterval=0.2,
                file=sys.stderr,
                disable=None,  # but on a terminal: elsewhere this is where the log goes
            )
        )

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return await job.run(options.day, show)


def _usage_admin(settings: OpenAISettings) -> OpenAIUsageAdmin:
    tls = None
    if settings.base_url.startswith("https://"):
        tls = ssl.create_default_context(cafile=settings.ca_file)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
    return OpenAIUsageAdmin(
        settings.base_urls,
        tls,
        allows_private_addresses=settings.allow_private_addresses or settings.is_local,
    )


def _as_json(result: Reconciliation) -> str:
    document = {
        "date": result.day.isoformat(),
        "used_elsewhere": result.used_elsewhere,
        "keys": [
            {
                "keys": [str(name) for name in comparison.keys],
                "openai_key_id": comparison.openai_key_id,
                "keyturn": asdict(comparison.keyturn),
                "openai": asdict(comparison.openai),
                "verdict": comparison.verdict.value,
            }
            for comparison in result.comparisons
        ],
        "uncovered_keys": [str(name) for name in result.uncovered],
    }
    return json.dumps(document, indent=2) + "\n"


def _as_table(result: Reconciliation) -> str:
    rows = [
        (
            ", ".join(str(name) for name in comparison.keys),
            comparison.openai_key_id,
            _words(comparison.keyturn),
            _words(comparison.openai),
            f"{_tokens(comparison.openai) - _tokens(comparison.keyturn):+,} tokens",
            comparison.verdict.value.replace("_", " "),
        )
        for comparison in result.comparisons
    ]
    lines = _aligned([_COLUMNS, *rows]) if rows else ["No key can be compared."]
    lines.append(
        f"{result.day}, UTC: compared {len(rows)} keys at OpenAI; "
        f"{result.used_elsewhere} are used elsewhere."
    )
    if result.uncovered:
        lines.append("Not compared, for want of their id at OpenAI (`keyturn keys set`):")
        lines += [f"  {name}" for name in result.uncovered]
    return "\n".join(lines) + "\n"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _words(counted: Counted) -> str:
    return f"{counted.requests:,} requests, {_tokens(counted):,} tokens"


def _tokens(counted: Counted) -> int:
    return counted.input_tokens + counted.output_tokens


def _complain(text: str) -> int:
    sys.stderr.write(f"gateway-svc: {text}\n")
    return _FAILED
