"""The use case of gateways: settle leases."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from keyvault_svc.domain.lease_accounts import LeaseAccounts
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.verifying import KeyVerifying
from svc_runtime.service_error import ServiceError

# At the end of the process. The store of limits answers in milliseconds.
_CLOSE_SECONDS: Final = 2.0


class LeaseSettling:
    """Settlements of leases.

    A settlement that has begun is carried through though nobody waits for the answer any more:
    the store may have taken it, and then no repetition would write it to the log.
    """

    def __init__(self, accounts: LeaseAccounts, verifying: KeyVerifying) -> None:
        self._accounts = accounts
        self._verifying = verifying
        self._under_way: set[asyncio.Task[int]] = set()

    async def settle(self, settlements: Sequence[LeaseSettlement], request_id: str) -> int:
        """Record what became of leases, and have keys verified that OpenAI refused.

        A refused call alone does not reject a key: OpenAI refuses calls for other reasons too,
        some of which the app decides. Cancelled, this ends at once, and all of it is done still.

        Returns:
            How many settlements counted; the others were repetitions.

        Raises:
            LimitStoreUnavailableError: Some could not be settled; all may be reported again.
        """
        settling = asyncio.create_task(self._settle(settlements, request_id))
        self._under_way.add(settling)
        settling.add_done_callback(self._under_way.discard)
        try:
            await asyncio.wait((settling,))  # cancels nothing
        except asyncio.CancelledError:
            settling.add_done_callback(_end_unheard)
            raise
        return settling.result()

    async def close(self) -> None:
        """Wait for what is under way, for at most `_CLOSE_SECONDS`; then give the rest up.

        To be called when no call is under way any more, and before the store is closed.
        """
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=_CLOSE_SECONDS)
        for settling in late:
            settling.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _settle(self, settlements: Sequence[LeaseSettlement], request_id: str) -> int:
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


def _end_unheard(settling: asyncio.Task[int]) -> None:
    """Let a failure pass that the gateway, which left, would repeat; a fault is reported."""
    with contextlib.suppress(asyncio.CancelledError, ServiceError):
        settling.result()
