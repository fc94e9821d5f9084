"""`keyvault-svc rewrap`: a new epoch for every record, with its progress shown."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.domain.rewrapping import Rewrapping, RewrapResult, RewrapStep
from keyvault_svc.progress import Progress
from keyvault_svc.settings import Settings
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_key_store import KvKeyStore
from keyvault_svc.vault.kv_rewrap_log import KvRewrapLog
from keyvault_svc.vault.transit_key_epochs import TransitKeyEpochs
from svc_runtime.call_context import new_request_id
from svc_runtime.clock import SystemClock
from svc_runtime.logging_setup import configure_logging
from svc_runtime.process import unless_told_to_stop
from svc_runtime.settings_models import SettingsError
from svc_runtime.vault.connect import login_of, vault_session
from svc_runtime.vault.errors import VaultUnavailableError

DEFAULT_RATE: Final = 100.0
_DONE: Final = 0
_FAILED: Final = 1
# Beside the deadline of a call, within which an intake seals and stores: clocks may differ.
_MARGIN: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class RewrapOptions:
    """What the operator may choose.

    Attributes:
        records_per_second: Upper bound of records looked at.
        is_rotating: Whether to begin with a rotation.
        grace_seconds: How long calls under way may take to end; None for what the settings imply.
    """

    records_per_second: float = DEFAULT_RATE
    is_rotating: bool = True
    grace_seconds: float | None = None


def rewrap(settings: Settings, options: RewrapOptions) -> int:
    """Run the job to its end, and return the exit code.

    Raises:
        SettingsError: The settings have no `[maintenance]`.
    """
    configure_logging("keyvault-svc")
    try:
        result = asyncio.run(unless_told_to_stop(_run(settings, options)))
    except VaultUnavailableError:
        return _complain("Vault was away for ten minutes. Run it again: it goes on from there.")
    except KeyChangedMeanwhileError:
        return _complain("Another rewrap is under way. Let it end, or run this one again later.")
    except KeyRecordUnreadableError:
        return _complain("The stored progress cannot be read. It lies at maintenance/rewrap.")
    for name in result.unreadable:
        sys.stderr.write(f"unreadable: {name}\n")
    epochs = result.epochs
    sys.stdout.write(
        f"rewrapped {result.rewrapped} records; the transit key is at version {epochs.latest}, "
        f"and opens versions from {epochs.minimum} on\n"
    )
    if result.unreadable:
        return _complain(
            "The minimum was not raised: records that cannot be read might be lost by it. "
            "Mend or delete them, then run it again."
        )
    return _DONE


async def _run(settings: Settings, options: RewrapOptions) -> RewrapResult:
    if settings.maintenance is None:
        raise SettingsError(
            "maintenance: the settings need a [maintenance] login, such as [maintenance.approle]"
        )
    clock = SystemClock()
    login = login_of(settings.maintenance)
    async with vault_session(settings.vault, clock, login) as session:
        documents = KvDocuments(session)
        log = KvRewrapLog(documents)
        job = Rewrapping(
            KvKeyStore(documents),
            log,
            TransitKeyEpochs(session),
            log,
            clock,
            asyncio.sleep,
            grace=_grace(options, settings.max_deadline_seconds),
            lease_time=_grace(options, settings.lease_seconds),
            records_per_second=options.records_per_second,
        )
        with Progress() as progress:

            def show(step: RewrapStep) -> None:
                unit = "second" if step.phase == "waiting" else "owner"
                note = f"rewrapped {step.rewrapped}"
                progress.show(step.phase, step.done, step.total, unit, note)

            return await job.run(new_request_id(), show, is_rotating=options.is_rotating)


def _grace(options: RewrapOptions, longest_seconds: float) -> timedelta:
    """Return how long to wait for what takes *longest_seconds* at most."""
    if options.grace_seconds is not None:
        return timedelta(seconds=options.grace_seconds)
    return timedelta(seconds=longest_seconds) + _MARGIN


def _complain(text: str) -> int:
    sys.stderr.write(f"keyvault-svc: {text}\n")
    return _FAILED
