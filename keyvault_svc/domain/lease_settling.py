"""The use case of gateways: settle leases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from keyvault_svc.domain.lease_accounts import LeaseAccounts
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.verifying import KeyVerifying
from svc_runtime.service_error import ServiceError


class LeaseSettling:
    """Settlements of leases."""

    def __init__(self, accounts: LeaseAccounts, verifying: KeyVerifying) -> None:
        self._accounts = accounts
        self._verifying = verifying

    async def settle(self, settlements: Sequence[LeaseSettlement], request_id: str) -> int:
        """Record what became of leases, and have keys verified that OpenAI refused.

        A refused call alone does not reject a key: OpenAI refuses calls for other reasons too,
        some of which the app decides.

        Returns:
            How many settlements counted; the others were repetitions.

        Raises:
            LimitStoreUnavailableError: Some could not be settled; all may be reported again.
        """
        outcomes = await asyncio.gather(
            *(self._accounts.settle(settlement) for settlement in settlements),
            return_exceptions=True,
        )
        counted = [outcome for outcome in outcomes if isinstance(outcome, LeaseSettlement)]
        refused = {s.grant_name.key for s in counted if s.outcome is LeaseOutcome.KEY_REJECTED}
        for name in sorted(refused):
            try:
                await self._verifying.recheck(name, AuditTags(request_id, str(name)))
            except ServiceError:
                continue  # the next call that OpenAI refuses asks again
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failures:
            raise failures[0]
        return len(counted)
