"""Leases that arrive after their calls have ended, settled as unused."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway_svc.domain.lease_ports import KeyLeaser, Lease, LeaseRequest, LeaseSettlement
from gateway_svc.domain.leases import LeaseUse
from svc_runtime.service_error import ServiceError

# At the end of the process, when settlements have to be sent, too. A decision takes milliseconds.
_CLOSE_SECONDS: Final = 2.0


class PatientKeyLeaser:
    """`KeyLeaser` that waits for the key service's answer though the app has gone.

    Once asked, the key service may have made the lease, and has reserved for it. To give the
    request up is to never hear which lease to settle: it would stay charged as it was reserved.
    """

    def __init__(self, leaser: KeyLeaser) -> None:
        """Wait for the answers of *leaser*, which itself ends each request in time."""
        self._leaser = leaser
        self._under_way: set[asyncio.Task[Lease]] = set()

    async def acquire(self, request: LeaseRequest, timeout_seconds: float) -> Lease:
        """Return a lease for one request; see `KeyLeaser.acquire`.

        Cancelled, this ends at once, and a lease that comes afterwards is settled as unused.
        """
        acquiring = asyncio.create_task(self._leaser.acquire(request, timeout_seconds))
        self._under_way.add(acquiring)
        acquiring.add_done_callback(self._under_way.discard)
        try:
            # Does not cancel what it waits for. Nor does `shield`, which may report a refusal that
            # nobody waits for as a fault.
            await asyncio.wait((acquiring,))
            return acquiring.result()
        except asyncio.CancelledError:
            acquiring.add_done_callback(lambda ended: self._settle_unused(request, ended))
            raise
        finally:
            del acquiring  # a refusal would keep this frame, and by it the request's tokens

    async def check(self, lease_id: str, request: LeaseRequest, timeout_seconds: float) -> None:
        """Return if a request under way may go on; see `KeyLeaser.check`."""
        await self._leaser.check(lease_id, request, timeout_seconds)

    def settle(self, settlement: LeaseSettlement) -> None:
        """Report what became of a lease; see `KeyLeaser.settle`."""
        self._leaser.settle(settlement)

    async def close(self) -> None:
        """Settle what still arrives, for at most `_CLOSE_SECONDS`; then give the rest up.

        To be called when no call is under way any more, and before settlements end.
        """
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=_CLOSE_SECONDS)
        for acquiring in late:
            acquiring.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _settle_unused(self, request: LeaseRequest, ended: asyncio.Task[Lease]) -> None:
        if ended.cancelled():
            return
        try:
            lease = ended.result()
        except ServiceError:
            return  # it reserved nothing, and nobody is there to be told
        self._leaser.settle(LeaseUse(request, lease).settlement())
