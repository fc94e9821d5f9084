"""The job that tells owners of what is due: rotations, and keys and grants that end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.events import Event, EventType
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import GrantName, KeyName, OwnerName
from keyvault_svc.domain.ports import AuditTags, KeyStore
from keyvault_svc.domain.rewrap_ports import OwnerCatalogue
from svc_runtime.clock import Clock


class DueKind(StrEnum):
    """What may be due."""

    ROTATION = "rotation"
    EXPIRY = "expiry"
    GRANT_END = "grant_end"


@dataclass(frozen=True, slots=True)
class RemindResult:
    """How the job ended.

    Attributes:
        keys: How many records were looked at.
        events: What was told, the owners in order.
        unreadable: Records that could not be read.
    """

    keys: int
    events: tuple[Event, ...]
    unreadable: tuple[KeyName, ...]


def events_of(
    record: KeyRecord, policy: KeyPolicy, now: datetime, within: timedelta
) -> Iterator[Event]:
    """Return what there is to tell of *record*, as stored, at *now*.

    Told is what an owner can still keep from happening. So a key that does not serve, such as one
    that has expired, is left out, and so is the rotation of one that is being rotated.

    The time of each event is the beginning of the day, in UTC: its id is the same all day long.

    Args:
        record: The record.
        policy: The deployment's rules.
        now: The time.
        within: How long before its date something is told.
    """
    record = record.at(now, policy)
    if record.state not in {KeyState.ACTIVE, KeyState.PENDING}:
        return
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def told(kind: DueKind, date: datetime, grant: str = "", app: str = "") -> Event:
        facts = {"due": kind.value, "date": date.astimezone(UTC).date().isoformat()}
        name = record.name
        return Event(EventType.KEY_DUE, name.owner, str(name), grant, app, today, facts)

    last = now + within
    due_time = record.rotate_due_time(policy)
    is_awaited = record.state is KeyState.ACTIVE and record.incoming is None
    if is_awaited and due_time is not None and due_time <= last:
        yield told(DueKind.ROTATION, due_time)
    end = record.ends_at(policy)
    if end is not None and end <= last:
        yield told(DueKind.EXPIRY, end)
    for grant in record.active_grants(now):
        end = grant.terms.expire_time
        if end is not None and end <= last:
            name = str(GrantName(record.name, grant.grant_id))
            yield told(DueKind.GRANT_END, end, name, str(grant.terms.app))


class Reminding:
    """Looks at every record once, and tells owners of what is due.

    It keeps nothing: told is the same again by each run of a day, under the same ids.
    """

    def __init__(
        self,
        store: KeyStore,
        catalogue: OwnerCatalogue,
        policy: KeyPolicy,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]],
        *,
        within: timedelta,
        records_per_second: float,
    ) -> None:
        """Prepare.

        Args:
            store: The records.
            catalogue: Whose they are.
            policy: The deployment's rules.
            clock: Source of time.
            sleep: Waits for a number of seconds.
            within: How long before its date something is told.
            records_per_second: Upper bound of records read.
        """
        self._store = store
        self._catalogue = catalogue
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        self._within = within
        self._pause_seconds = 1 / records_per_second
        self._keys = 0
        self._events: list[Event] = []
        self._unreadable: list[KeyName] = []

    async def run(self, request_id: str, report: Callable[[int, int], None]) -> RemindResult:
        """Return what there is to tell.

        Nobody is told before all records were looked at: a run that breaks off is repeated.

        Args:
            request_id: What Vault's audit log shall show.
            report: Called with how many owners are done, and with how many there are.

        Raises:
            VaultUnavailableError: Vault cannot answer.
        """
        now = self._clock.now()  # of all: a run that passes midnight has one day, too
        owners = await self._catalogue.owners()
        for position, owner in enumerate(owners):
            await self._look_at(owner, now, request_id)
            report(position + 1, len(owners))
        return RemindResult(self._keys, tuple(self._events), tuple(self._unreadable))

    async def _look_at(self, owner: OwnerName, now: datetime, request_id: str) -> None:
        for key_id in await self._store.list_ids(owner, request_id):
            name = KeyName(owner, key_id)
            try:
                record = await self._store.read(name, AuditTags(request_id, str(name)))
            except KeyRecordUnreadableError:
                self._unreadable.append(name)
            else:
                self._keys += 1
                if record is not None:
                    self._events += events_of(record, self._policy, now, self._within)
            await self._sleep(self._pause_seconds)
