"""The operators' controls on KV: one document, read for every lease."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final, Literal

from pydantic import AwareDatetime, ValidationError

from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.errors import KeyRecordUnreadableError, TooManySuspensionsError
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.audit_headers import headers_for
from keyvault_svc.vault.grant_format import (
    NO_LIMITS,
    Stored,
    StoredLimits,
    limits_from_stored,
    limits_to_stored,
)
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.paths import CONTROLS
from svc_runtime.service_error import InvalidFieldError

MAX_BYTES: Final = 256 * 1024  # OpenBao's integrated storage takes 1 MiB, and every lease reads it


class _StoredSuspension(Stored):
    subject: str
    reason: str
    creator: str
    create_time: AwareDatetime


class _StoredOwnerLimits(Stored):
    owner: str
    limits: StoredLimits = NO_LIMITS


class _StoredControls(Stored):
    schema_version: Literal[1]
    suspensions: list[_StoredSuspension]
    owner_limits: list[_StoredOwnerLimits]


class KvControls:
    """`ControlsStore` on KV. Every read is a request to Vault.

    What is kept in memory is only what the last text meant, so that equal text need not be
    parsed for every lease.
    """

    def __init__(self, documents: KvDocuments) -> None:
        self._documents = documents
        self._last: tuple[str, Controls] | None = None

    async def read(self, tags: AuditTags) -> Controls:
        """Return the controls as stored now; see `ControlsStore.read`."""
        stored = await self._documents.read(CONTROLS, headers_for(tags))
        if stored is None:
            return Controls()
        if self._last is None or self._last[0] != stored.text:
            self._last = (stored.text, _from_stored(stored.text))
        return replace(self._last[1], revision=stored.revision)

    async def write(self, controls: Controls, tags: AuditTags) -> None:
        """Store *controls* by check-and-set; see `ControlsStore.write`."""
        text = _to_stored(controls)
        if len(text.encode()) > MAX_BYTES:
            raise TooManySuspensionsError
        await self._documents.write(CONTROLS, text, controls.revision, headers_for(tags))


def _to_stored(controls: Controls) -> str:
    return json.dumps(
        {
            "schema_version": 1,
            "suspensions": [
                {
                    "subject": str(suspension.subject),
                    "reason": suspension.reason,
                    "creator": suspension.creator,
                    "create_time": suspension.create_time.isoformat(),
                }
                for suspension in controls.suspensions.values()
            ],
            "owner_limits": [
                {"owner": str(owner), **limits_to_stored(limits)}
                for owner, limits in controls.owner_limits.items()
            ],
        },
        ensure_ascii=False,
    )


def _from_stored(text: str) -> Controls:
    """Return the controls that *text* describes.

    Raises:
        KeyRecordUnreadableError: It describes none that this version understands in whole: a part
            might be the one that stops something.
    """
    try:
        fields = _StoredControls.model_validate_json(text)
        suspensions = [
            Suspension(Subject.parse(s.subject, "subject"), s.reason, s.creator, s.create_time)
            for s in fields.suspensions
        ]
        return Controls(
            {suspension.subject: suspension for suspension in suspensions},
            {
                OwnerName.parse(limited.owner, "owner"): limits_from_stored(limited.limits)
                for limited in fields.owner_limits
            },
        )
    except (ValidationError, InvalidFieldError):
        pass
    raise KeyRecordUnreadableError
