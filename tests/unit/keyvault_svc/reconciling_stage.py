"""Reconciliation over a store of limits in memory, and other stores as fakes."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import count
from typing import Final

from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.limit_store import Reservation, Taken, UsageRow
from keyvault_svc.domain.limits import Amounts
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.reconcilable_keys import ReconcilableKeys
from keyvault_svc.domain.reconciliation import Counted, Tolerance
from keyvault_svc.domain.reconciling import Reconciling, ReconcilingDoors, ReconcilingPolicy
from tests.unit.keyvault_svc.custody_stage import Stage
from tests.unit.keyvault_svc.samples import BILLING

ADMIN_KEY: Final = KeyName.parse("teams/operators/keys/openai-admin", "name")
POLICY: Final = ReconcilingPolicy(ADMIN_KEY, tolerance=Tolerance(0, 0, 0.0))


class FakeReconcilingLog:
    """`ReconcilingLog` in a list.

    Attributes:
        told: What was told.
    """

    def __init__(self) -> None:
        self.told: list[tuple[KeyName, date, Counted]] = []

    def used_elsewhere(self, name: KeyName, day: date, excess: Counted) -> None:
        """Remember it."""
        self.told.append((name, day, excess))


class ReconcilingStage(Stage):
    """The use cases, and what they read."""

    def __init__(self, *records: KeyRecord, policy: ReconcilingPolicy = POLICY) -> None:
        super().__init__(*records)
        self.reconciled.names |= {record.name for record in records if record.is_reconcilable}
        self.log = FakeReconcilingLog()
        self.reconciling = Reconciling(
            ReconcilingDoors(
                ReconcilableKeys(self.reconciled, self.records, self.store),
                self.records,
                self.controls,
                self.limits,
                self.notifier,
                self.log,
            ),
            self.handoff,
            self.verifying,
            policy,
            self.clock,
        )
        self._numbers = count()

    async def use(
        self,
        name: KeyName,
        *,
        requests: int = 1,
        input_tokens: int = 0,
        output_tokens: int = 0,
        day: date | None = None,
    ) -> None:
        """Have requests take this, yesterday unless *day* says otherwise."""
        now = self.clock.now()
        lease_id = f"{next(self._numbers):032x}"
        amounts = Amounts(1, input_tokens + output_tokens, 0)
        end_time = now + timedelta(minutes=10)
        await self.limits.reserve(Reservation(lease_id, name.owner, (), amounts, end_time), now)
        row = UsageRow(
            day or now.date() - timedelta(days=1),
            name.key_id,
            f"{1:016x}",
            str(BILLING),
            "gpt-4o",
            "",
            requests,
            input_tokens,
            output_tokens,
            0,
            0,
        )
        await self.limits.settle(Taken(lease_id, name.owner, amounts, row), now)
