"""The index of fingerprints on KV: which keys hold a plaintext."""

from __future__ import annotations

import json
from typing import Final

from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.audit_headers import headers_for
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.paths import fingerprint_path
from svc_runtime.service_error import InvalidFieldError

_MAX_WRITE_ATTEMPTS: Final = 8


class KvFingerprintIndex:
    """`FingerprintIndex` on KV. Entries name keys; what has named one is destroyed with it.

    An entry that names none stays, and tells nothing: Vault deletes without check-and-set, so
    taking it away could take one with it that came in the same moment.
    """

    def __init__(self, documents: KvDocuments) -> None:
        self._documents = documents

    async def holders(self, fingerprint: str, tags: AuditTags) -> tuple[KeyName, ...]:
        """Return the keys that are said to hold it."""
        return (await self._entry(fingerprint, tags))[0]

    async def add(self, fingerprint: str, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* holds it."""
        path, headers = fingerprint_path(fingerprint), headers_for(tags)
        for _ in range(_MAX_WRITE_ATTEMPTS):
            names, revision = await self._entry(fingerprint, tags)
            if name in names:
                return
            try:
                await self._documents.write(path, _text((*names, name)), revision, headers)
            except KeyChangedMeanwhileError:
                continue
            return
        raise KeyChangedMeanwhileError

    async def remove(self, fingerprint: str, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* holds it no longer, and destroy the versions that said so."""
        path, headers = fingerprint_path(fingerprint), headers_for(tags)
        for _ in range(_MAX_WRITE_ATTEMPTS):
            names, revision = await self._entry(fingerprint, tags)
            if name not in names:
                return
            left = tuple(other for other in names if other != name)
            try:
                written = await self._documents.write(path, _text(left), revision, headers)
            except KeyChangedMeanwhileError:
                continue
            await self._documents.destroy_before(path, written, headers)
            return
        raise KeyChangedMeanwhileError

    async def _entry(self, fingerprint: str, tags: AuditTags) -> tuple[tuple[KeyName, ...], int]:
        stored = await self._documents.read(fingerprint_path(fingerprint), headers_for(tags))
        if stored is None:
            return (), 0
        names: tuple[KeyName, ...] | None
        try:
            names = tuple(KeyName.parse(str(n), "key") for n in json.loads(stored.text))
        except (ValueError, TypeError, InvalidFieldError):
            names = None
        if names is None:
            raise KeyRecordUnreadableError
        return names, stored.revision


def _text(names: tuple[KeyName, ...]) -> str:
    return json.dumps([str(name) for name in names])
