"""Which keys can be compared with what OpenAI counted, and which other keys their owners have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags, KeyStore
from keyvault_svc.domain.reconciled_keys import ReconciledKeys
from keyvault_svc.domain.records import Records

PAGE_ENTRIES: Final = 50  # a call reads each record once


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Some of the keys.

    Attributes:
        covered: Records whose current version has an id at OpenAI that is known.
        uncovered: Other keys of the same owners, of which it is not known, sorted.
        last_entry: The last entry that was looked at; empty when there are no more.
    """

    covered: tuple[KeyRecord, ...]
    uncovered: tuple[KeyName, ...]
    last_entry: str


class ReconcilableKeys:
    """The list of keys that can be reconciled, kept right while it is read.

    Owners cannot be listed, so every key whose owner told its id at OpenAI has an entry.
    """

    def __init__(self, entries: ReconciledKeys, records: Records, store: KeyStore) -> None:
        self._entries = entries
        self._records = records
        self._store = store

    async def page(self, after: str, request_id: str) -> KeyPage:
        """Return the keys of the entries that come after entry *after*; empty for the first.

        Raises:
            VaultUnavailableError: Vault cannot answer.
        """
        ids = [entry for entry in sorted(await self._entries.ids()) if entry > after]
        found = [await self._listed(entry, request_id) for entry in ids[:PAGE_ENTRIES]]
        records = [record for record in found if record is not None]
        last = ids[PAGE_ENTRIES - 1] if len(ids) > PAGE_ENTRIES else ""
        covered = tuple(record for record in records if record.current.openai_key_id)
        return KeyPage(covered, await self._uncovered(records, request_id), last)

    async def having(
        self, openai_key_id: str, names: Iterable[KeyName], request_id: str
    ) -> list[KeyName]:
        """Return those of *names* whose current version has this id at OpenAI.

        Raises:
            VaultUnavailableError: Vault cannot answer.
        """
        return [
            name
            for name in names
            if (record := await self._find(name, request_id)) is not None
            and record.current.openai_key_id == openai_key_id
        ]

    async def _uncovered(
        self, records: Sequence[KeyRecord], request_id: str
    ) -> tuple[KeyName, ...]:
        known = {record.name: record for record in records}
        uncovered = []
        for owner in sorted({name.owner for name in known}):
            for key_id in await self._store.list_ids(owner, request_id):
                name = KeyName(owner, key_id)
                if await self._lacks_id(name, known.get(name), request_id):
                    uncovered.append(name)
        return tuple(uncovered)

    async def _lacks_id(self, name: KeyName, known: KeyRecord | None, request_id: str) -> bool:
        """Tell whether there is such a key, and its id is not known; an unreadable one's is not."""
        try:
            record = known or await self._records.find(name, AuditTags(request_id, str(name)))
        except KeyRecordUnreadableError:
            return True
        if record is None or record.state is KeyState.DELETED:
            return False
        return not record.current.openai_key_id

    async def _listed(self, entry_id: str, request_id: str) -> KeyRecord | None:
        """Return the record that an entry is about; forget an entry that is about none."""
        try:
            name = await self._entries.read(entry_id, AuditTags(request_id, ""))
        except KeyRecordUnreadableError:
            return None
        if name is None:
            return None
        tags = AuditTags(request_id, str(name))
        try:
            record = await self._records.find(name, tags)
        except KeyRecordUnreadableError:
            return None  # its owner is told when the key is used
        if record is not None and record.is_reconcilable:
            return record
        # Vault removes whatever is there, so an entry that was made meanwhile may go with it. Who
        # makes one stores the record then, and sees to the entry once more.
        await self._entries.remove(name, tags)
        return None

    async def _find(self, name: KeyName, request_id: str) -> KeyRecord | None:
        try:
            return await self._records.find(name, AuditTags(request_id, str(name)))
        except KeyRecordUnreadableError:
            return None
