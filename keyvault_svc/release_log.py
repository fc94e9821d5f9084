"""The record of a key that is released: written before it is."""

from __future__ import annotations

import structlog

from keyvault_svc.domain.lease import Lease
from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.ports import AuditTags
from svc_runtime.audit_stream.stream import AuditStream

_log = structlog.get_logger()


class AuditedReleaseLog:
    """`ReleaseLog` in the audit stream, as event `lease_release`."""

    def __init__(self, stream: AuditStream) -> None:
        self._stream = stream

    async def record(self, lease: Lease, tags: AuditTags) -> None:
        """Write down that *lease* is about to be released; see `ReleaseLog.record`."""
        _log.info(
            "lease_release",
            request_id=tags.request_id,
            lease=lease.lease_id,
            key=str(lease.key),
            key_version=lease.key_version,
            grant=str(GrantName(lease.key, lease.grant_id)) if lease.grant_id else "",
            app=tags.app,
        )
        await self._stream.flushed()
