"""The use case of usage over a store of limits in memory, and other stores as fakes."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Final

from keyvault_svc.domain.controls import Controls
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.limit_store import Reservation, Taken, UsageRow
from keyvault_svc.domain.limits import Amounts, LimitRef, Limits
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.domain.usage_report import UsageReporting
from keyvault_svc.limits.file_store import FileLimitStore
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_controls_store import FakeControlsStore
from tests.fakes.fake_key_store import FakeKeyStore
from tests.unit.keyvault_svc.samples import BILLING, KEY

ALICE: Final = KEY.owner
GRANT: Final = f"{1:016x}"


class UsageStage:
    """The use case, and what it reads."""

    def __init__(
        self, *records: KeyRecord, controls: Controls | None = None, default: Limits | None = None
    ) -> None:
        self.clock = FakeClock()
        self.limits = FileLimitStore(None)
        self.keys = FakeKeyStore(*records)
        self.controls = FakeControlsStore(controls)
        self.reporting = UsageReporting(
            self.limits, self.keys, self.controls, default or Limits(), self.clock
        )
        self._numbers = count()

    def row(
        self,
        *,
        key_id: str = KEY.key_id,
        grant_id: str = GRANT,
        model: str = "gpt-4o",
        member: str = "",
        tokens: int = 10,
        micro_usd: int = 0,
        unpriced: int = 0,
    ) -> UsageRow:
        """Return what one request took today; as many tokens for the prompt as for the answer."""
        day = self.clock.now().date()
        words = (key_id, grant_id, str(BILLING), model, member)
        return UsageRow(day, *words, 1, tokens, tokens, micro_usd, unpriced)

    async def use(
        self, row: UsageRow, *limits: LimitRef, owner: OwnerName = ALICE, is_settled: bool = True
    ) -> None:
        """Have a request take what *row* says, or hold it until it ends."""
        now = self.clock.now()
        lease_id = f"{next(self._numbers):032x}"
        amounts = Amounts(1, row.input_tokens + row.output_tokens, row.micro_usd)
        end_time = now + timedelta(minutes=10)
        await self.limits.reserve(Reservation(lease_id, owner, limits, amounts, end_time), now)
        if is_settled:
            await self.limits.settle(Taken(lease_id, owner, amounts, row), now)
