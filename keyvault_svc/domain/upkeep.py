"""What any replica does by itself: destroy what has to be gone by now."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from keyvault_svc.domain.ports import AuditTags, RetirementQueue
from keyvault_svc.domain.records import Records
from svc_runtime.clock import Clock
from svc_runtime.service_error import ServiceError

_MAX_ENTRIES: Final = 100  # in one round; the next goes on


@dataclass(frozen=True, slots=True)
class UpkeepResult:
    """How many entries were done, and how many must be tried again."""

    done: int
    failed: int


class Upkeep:
    """Works the queue of retirements off.

    Replicas may do the same entry at the same time: everything it does is idempotent.
    """

    def __init__(self, retirements: RetirementQueue, records: Records, clock: Clock) -> None:
        self._retirements = retirements
        self._records = records
        self._clock = clock

    async def run(self, request_id: str) -> UpkeepResult:
        """Do what is due now.

        An entry is removed only once all that it asks for is done. One that fails does not keep
        the others from being done; it stays.

        Raises:
            VaultUnavailableError: Vault cannot tell what is due.
        """
        due = list(await self._retirements.due(self._clock.now()))
        random.shuffle(due)  # entries that fail must not keep the others waiting for ever
        done = failed = 0
        for entry_id in due[:_MAX_ENTRIES]:
            try:
                if await self._tidy(entry_id, request_id):
                    done += 1
            except ServiceError:
                failed += 1
        return UpkeepResult(done, failed)

    async def _tidy(self, entry_id: str, request_id: str) -> bool:
        name = await self._retirements.read(entry_id)
        if name is not None and not await self._records.tidy(
            name, AuditTags(request_id, str(name))
        ):
            return False
        await self._retirements.remove(entry_id)
        return True
