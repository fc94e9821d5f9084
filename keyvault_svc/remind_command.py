"""`keyvault-svc remind`: tells owners what is due, with its progress shown."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from keyvault_svc.domain.reminding import Reminding, RemindResult
from keyvault_svc.notifications.channel import Channel
from keyvault_svc.notifications.channels import open_channels
from keyvault_svc.notifications.outbox import Outbox
from keyvault_svc.notifications.retry_schedule import RetrySchedule
from keyvault_svc.progress import Progress
from keyvault_svc.settings import Settings
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_key_store import KvKeyStore
from keyvault_svc.vault.kv_rewrap_log import KvRewrapLog
from svc_runtime.call_context import new_request_id
from svc_runtime.clock import Clock, SystemClock
from svc_runtime.logging_setup import configure_logging
from svc_runtime.process import unless_told_to_stop
from svc_runtime.settings_models import SettingsError
from svc_runtime.vault.connect import login_of, vault_session
from svc_runtime.vault.errors import VaultUnavailableError

DEFAULT_WITHIN_DAYS: Final = 14
_DONE: Final = 0
_FAILED: Final = 1
_LEAST_WAITING: Final = 2  # of which a queue can choose the one to drop
# Two to three minutes for a receiver that is away. An event that fails waits longer than the others
# behind it: one that is never taken must not look like that.
SCHEDULE: Final = RetrySchedule(
    max_attempts=12, max_seconds=60.0, max_pause_seconds=20.0, max_retry_after_seconds=60.0
)


@dataclass(frozen=True, slots=True)
class RemindOptions:
    """What the operator may choose.

    Attributes:
        within: How long before its date something is told.
        records_per_second: Upper bound of records looked at.
    """

    within: timedelta
    records_per_second: float


def remind(settings: Settings, options: RemindOptions) -> int:
    """Run the job to its end, and return the exit code.

    Raises:
        SettingsError: The settings have no `[maintenance]`, or name a secret that cannot be used.
    """
    configure_logging("keyvault-svc")
    clock = SystemClock()
    channels = open_channels(settings.notifications, clock)
    try:
        result, lost = asyncio.run(unless_told_to_stop(_run(settings, options, channels, clock)))
    except VaultUnavailableError:
        return _complain("Vault cannot answer. Nobody was told anything: run it again.")
    for name in result.unreadable:
        sys.stderr.write(f"unreadable: {name}\n")
    count = len(result.events)
    sys.stdout.write(f"looked at {result.keys} keys; {count} things are due\n")
    if lost:
        return _complain(f"{lost} deliveries were given up. The log names each: notification_lost.")
    if result.unreadable:
        return _complain("Records cannot be read. Mend or delete them.")
    return _DONE


async def _run(
    settings: Settings, options: RemindOptions, channels: list[Channel], clock: Clock
) -> tuple[RemindResult, int]:
    result = await _look(settings, options, clock)
    outbox = Outbox(channels, clock, SCHEDULE, max_waiting=max(_LEAST_WAITING, len(result.events)))
    for event in result.events:
        outbox.notify(event)
    outbox.start()
    return result, await outbox.finish()


async def _look(settings: Settings, options: RemindOptions, clock: Clock) -> RemindResult:
    if settings.maintenance is None:
        raise SettingsError(
            "maintenance: the settings need a [maintenance] login, such as [maintenance.approle]"
        )
    login = login_of(settings.maintenance)
    async with vault_session(settings.vault, clock, login) as session:
        documents = KvDocuments(session)
        job = Reminding(
            KvKeyStore(documents),
            KvRewrapLog(documents),
            settings.keys.policy(),
            clock,
            asyncio.sleep,
            within=options.within,
            records_per_second=options.records_per_second,
        )
        with Progress() as progress:

            def show(done: int, total: int) -> None:
                progress.show("looking", done, total, "owner")

            return await job.run(new_request_id(), show)


def _complain(text: str) -> int:
    sys.stderr.write(f"keyvault-svc: {text}\n")
    return _FAILED
