"""`keyvault-svc coverage`: tells which keys cannot be reconciled, with its progress shown."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Final

from keyvault_svc.domain.coverage import Coverage, CoverageResult
from keyvault_svc.progress import Progress
from keyvault_svc.settings import Settings
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_key_store import KvKeyStore
from keyvault_svc.vault.kv_rewrap_log import KvRewrapLog
from svc_runtime.call_context import new_request_id
from svc_runtime.clock import SystemClock
from svc_runtime.logging_setup import configure_logging
from svc_runtime.process import unless_told_to_stop
from svc_runtime.settings_models import SettingsError
from svc_runtime.vault.connect import login_of, vault_session
from svc_runtime.vault.errors import VaultUnavailableError

_DONE: Final = 0
_FAILED: Final = 1
_FOUND: Final = 3


@dataclass(frozen=True, slots=True)
class CoverageOptions:
    """What the operator may choose.

    Attributes:
        records_per_second: Upper bound of records looked at.
        as_json: Whether to print JSON in place of lines.
    """

    records_per_second: float
    as_json: bool


def coverage(settings: Settings, options: CoverageOptions) -> int:
    """Run the job to its end, and return the exit code.

    Raises:
        SettingsError: The settings have no `[maintenance]`, or name a secret that cannot be used.
    """
    configure_logging("keyvault-svc", sys.stderr)
    try:
        result = asyncio.run(unless_told_to_stop(_run(settings, options)))
    except VaultUnavailableError:
        sys.stderr.write("keyvault-svc: Vault cannot answer. Run it again.\n")
        return _FAILED
    sys.stdout.write(_as_json(result) if options.as_json else _as_lines(result))
    if result.unreadable:
        return _FAILED
    return _FOUND if result.uncovered else _DONE


async def _run(settings: Settings, options: CoverageOptions) -> CoverageResult:
    if settings.maintenance is None:
        raise SettingsError(
            "maintenance: the settings need a [maintenance] login, such as [maintenance.approle]"
        )
    login = login_of(settings.maintenance)
    async with vault_session(settings.vault, SystemClock(), login) as session:
        documents = KvDocuments(session)
        job = Coverage(
            KvKeyStore(documents),
            KvRewrapLog(documents),
            settings.reconciliation.admin_key_name(),
            asyncio.sleep,
            records_per_second=options.records_per_second,
        )
        with Progress() as progress:

            def show(done: int, total: int) -> None:
                progress.show("looking", done, total, "owner")

            return await job.run(new_request_id(), show)


def _as_lines(result: CoverageResult) -> str:
    lines = [f"{name}: no id at OpenAI" for name in result.uncovered]
    lines += [f"{name}: cannot be read" for name in result.unreadable]
    lines.append(f"{result.covered} keys can be reconciled, {len(result.uncovered)} cannot.")
    return "\n".join(lines) + "\n"


def _as_json(result: CoverageResult) -> str:
    document = {
        "covered": result.covered,
        "uncovered_keys": [str(name) for name in result.uncovered],
        "unreadable_keys": [str(name) for name in result.unreadable],
    }
    return json.dumps(document, indent=2) + "\n"
