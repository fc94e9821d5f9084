"""The job that finds which keys cannot be reconciled, over all owners."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags, KeyStore
from keyvault_svc.domain.rewrap_ports import OwnerCatalogue


@dataclass(frozen=True, slots=True)
class CoverageResult:
    """What the job found.

    Attributes:
        covered: How many keys can be reconciled.
        uncovered: Those that cannot, for want of their id at OpenAI.
        unreadable: Records that could not be read.
    """

    covered: int
    uncovered: tuple[KeyName, ...]
    unreadable: tuple[KeyName, ...]


class Coverage:
    """Looks at every record once, and changes none."""

    def __init__(
        self,
        store: KeyStore,
        catalogue: OwnerCatalogue,
        admin_key: KeyName | None,
        sleep: Callable[[float], Awaitable[object]],
        *,
        records_per_second: float,
    ) -> None:
        """Prepare.

        Args:
            store: The records.
            catalogue: Whose they are.
            admin_key: The key that asks, which is not asked about.
            sleep: Waits for a number of seconds.
            records_per_second: Upper bound of records read.
        """
        self._store = store
        self._catalogue = catalogue
        self._admin_key = admin_key
        self._sleep = sleep
        self._pause_seconds = 1 / records_per_second

    async def run(self, request_id: str, report: Callable[[int, int], None]) -> CoverageResult:
        """Return which keys cannot be reconciled.

        Args:
            request_id: What Vault's audit log shall show.
            report: Called with how many owners are done, and with how many there are.

        Raises:
            VaultUnavailableError: Vault cannot answer.
        """
        covered = 0
        uncovered: list[KeyName] = []
        unreadable: list[KeyName] = []
        owners = await self._catalogue.owners()
        for position, owner in enumerate(owners):
            for key_id in await self._store.list_ids(owner, request_id):
                name = KeyName(owner, key_id)
                if name == self._admin_key:
                    continue
                try:
                    record = await self._store.read(name, AuditTags(request_id, str(name)))
                except KeyRecordUnreadableError:
                    unreadable.append(name)
                else:
                    covered += _is_covered(record)
                    if record is not None and _lacks_id(record):
                        uncovered.append(name)
                await self._sleep(self._pause_seconds)
            report(position + 1, len(owners))
        return CoverageResult(covered, tuple(uncovered), tuple(unreadable))


def _is_covered(record: KeyRecord | None) -> bool:
    return record is not None and bool(record.current.openai_key_id)


def _lacks_id(record: KeyRecord) -> bool:
    return not record.current.openai_key_id and record.state is not KeyState.DELETED
