"""Replicas that judge the use of grants, over one store and one set of controls."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from keyvault_svc.domain.anomalies.judging import AnomalyJudging, JudgingDoors
from keyvault_svc.domain.anomalies.policy import AnomalyPolicy
from keyvault_svc.domain.anomalies.rules import Finding
from keyvault_svc.domain.anomalies.watch import UseWatch
from keyvault_svc.domain.events import EventType
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.domain.operating import Operating
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from svc_runtime.service_error import ServiceError
from tests.fakes.fake_baseline_store import FakeBaselineStore
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_controls_store import FakeControlsStore
from tests.fakes.fake_key_store import FakeKeyStore
from tests.fakes.fake_notifier import FakeNotifier
from tests.fakes.fake_operating_log import FakeOperatingLog
from tests.fakes.fake_vault_line import FakeVaultLine
from tests.unit.keyvault_svc.domain.anomalies.use_of_a_grant import POLICY
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record

NAME = GrantName(KEY, make_grant(1).grant_id)
DEMO = str(make_grant(1).terms.app)


@dataclass
class KeptLog:
    """`AnomalyLog` in memory."""

    findings: list[Finding] = field(default_factory=list)
    failures: list[tuple[KeyName, str]] = field(default_factory=list)
    lost: int = 0

    def found(self, grant: GrantName, app: str, finding: Finding) -> None:
        """See `AnomalyLog.found`."""
        assert (grant.key.owner, app) == (NAME.key.owner, DEMO)
        self.findings.append(finding)

    def not_suspended(self, key: KeyName, error: ServiceError) -> None:
        """See `AnomalyLog.not_suspended`."""
        self.failures.append((key, error.reason))

    def dropped(self, count: int) -> None:
        """See `AnomalyLog.dropped`."""
        self.lost += count


class JudgingStage:
    """Two replicas, and what they share."""

    def __init__(self, policy: AnomalyPolicy = POLICY) -> None:
        self.clock = FakeClock()
        self.line = FakeVaultLine()
        self.baselines = FakeBaselineStore()
        self.keys = FakeKeyStore(make_record(make_grant(1)), line=self.line)
        self.controls = FakeControlsStore(line=self.line)
        self.notifier = FakeNotifier()
        self.operating_log = FakeOperatingLog()
        self.operating = Operating(
            self.controls, self.operating_log, self.notifier, Limits(), self.clock
        )
        self.log = KeptLog()
        self.watches = [UseWatch(self.clock), UseWatch(self.clock)]
        doors = JudgingDoors(self.baselines, self.keys, self.operating, self.notifier, self.log)
        self.replicas = [AnomalyJudging(watch, doors, policy, self.clock) for watch in self.watches]

    def use(
        self,
        count: int = 1,
        model: str = "gpt-4o",
        *,
        replica: int = 0,
        grant: GrantName = NAME,
    ) -> None:
        """Let *count* leases of *grant* be settled."""
        usage = Usage(60, 40, model=model, source=UsageSource.REPORTED)
        for number in range(count):
            self.watches[replica].used(
                LeaseSettlement(
                    f"{number:032x}", "request-1", grant, DEMO, LeaseOutcome.SERVED, usage, 200
                )
            )

    async def judge(self, *, replica: int = 0) -> None:
        """Let one replica judge."""
        await self.replicas[replica].run("request-of-a-run")

    async def learn(self) -> None:
        """Use the grant for ten days at noon, and go on to the eleventh."""
        for _ in range(10):
            self.use(10)
            await self.judge()
            self.clock.advance(timedelta(days=1).total_seconds())
        assert self.log.findings == []

    def told(self, event_type: EventType = EventType.ANOMALY) -> list[str]:
        """Return what owners were told."""
        return [event.facts["what"] for event in self.notifier.events if event.type is event_type]
