"""The use cases of gateways, put together over one session with Vault and one store of limits."""

from __future__ import annotations

from datetime import timedelta

from keyvault_svc.anomaly_life import AnomalyLife
from keyvault_svc.domain.anomalies.watch import WatchedNetworks, WatchedSettlements
from keyvault_svc.domain.charging import Charging
from keyvault_svc.domain.lease_accounts import LeaseAccounts
from keyvault_svc.domain.lease_proofs import LeaseProver
from keyvault_svc.domain.lease_settling import LeaseSettling
from keyvault_svc.domain.leasing import KeyLeasing, LeasePolicy
from keyvault_svc.domain.usage_report import UsageReporting
from keyvault_svc.doors import Doors
from keyvault_svc.key_life import KeyLife
from keyvault_svc.lease_log import StructuredSettlementLog
from keyvault_svc.limits.in_process_ledger import InProcessLedger
from keyvault_svc.settings import Settings
from svc_runtime.clock import Clock


class LeaseLife:
    """Everything that happens to leases, and what bounds them.

    Attributes:
        anomalies: What finds unusual use.
        accounts: What leases reserve and take.
        leasing: Leases of keys.
        settling: What became of leases.
        reporting: What was used, and what is left.
    """

    def __init__(
        self, doors: Doors, keys: KeyLife, prover: LeaseProver, settings: Settings, clock: Clock
    ) -> None:
        owner_limits = settings.limits.owner.limits()
        self.anomalies = AnomalyLife(doors, keys, settings.anomalies, clock)
        watch = self.anomalies.watch
        self.accounts = LeaseAccounts(
            doors.limits,
            InProcessLedger(clock, settle_within_seconds=settings.settle_within_seconds),
            Charging(doors.prices),
            WatchedNetworks(doors.notifier, watch),
            WatchedSettlements(StructuredSettlementLog(doors.prices), watch),
            clock,
            settle_within=timedelta(seconds=settings.settle_within_seconds),
        )
        policy = LeasePolicy(
            settings.ceilings.ceilings(),
            owner_limits,
            settings.require_app_proof,
            settings.reconciliation.admin_key_name(),
        )
        self.leasing = KeyLeasing(
            keys.records,
            keys.controls,
            keys.handoff,
            self.accounts,
            prover,
            policy,
            clock,
            watch=watch,
        )
        self.settling = LeaseSettling(self.accounts, keys.verifying)
        self.reporting = UsageReporting(
            doors.limits, keys.store, keys.controls, owner_limits, clock
        )
