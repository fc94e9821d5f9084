"""Requests for grants in a dict, with the check-and-set of the real store."""

from __future__ import annotations

from dataclasses import replace

from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.grant_requests import GrantRequests
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.domain.ports import AuditTags
from tests.fakes.fake_vault_line import FakeVaultLine


class FakeGrantRequestStore:
    """`GrantRequestStore` in memory.

    Attributes:
        stored: What is stored for each owner.
    """

    def __init__(self, line: FakeVaultLine | None = None) -> None:
        self._line = line or FakeVaultLine()
        self.stored: dict[OwnerName, GrantRequests] = {}

    async def read(self, owner: OwnerName, tags: AuditTags) -> GrantRequests:
        """Return the requests to *owner*."""
        del tags
        async with self._line.request("read requests"):
            return self.stored.get(owner, GrantRequests(owner))

    async def write(self, requests: GrantRequests, tags: AuditTags) -> None:
        """Store *requests* if nobody wrote since they were read."""
        del tags
        async with self._line.request("write requests"):
            there = self.stored.get(requests.owner)
            if requests.revision != (there.revision if there else 0):
                raise KeyChangedMeanwhileError
            self.stored[requests.owner] = replace(requests, revision=requests.revision + 1)

    async def remove(self, owner: OwnerName, tags: AuditTags) -> None:
        """Forget all requests to *owner*."""
        del tags
        async with self._line.request("remove requests"):
            self.stored.pop(owner, None)
