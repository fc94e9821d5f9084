"""Remembers which keys were released."""

from __future__ import annotations

from keyvault_svc.domain.lease import Lease
from keyvault_svc.domain.ports import AuditTags
from svc_runtime.audit_stream.errors import AuditUnavailableError


class FakeReleaseLog:
    """`ReleaseLog` in a list.

    Attributes:
        recorded: Ids of the leases, the oldest first.
        is_away: Whether nothing can be written down.
    """

    def __init__(self) -> None:
        self.recorded: list[str] = []
        self.is_away = False

    async def record(self, lease: Lease, tags: AuditTags) -> None:
        """Remember *lease*, unless it is away."""
        if self.is_away:
            raise AuditUnavailableError
        assert lease.lease_id == tags.lease_id
        self.recorded.append(lease.lease_id)
