"""The use cases of gateways over a store of limits in memory, and other stores as fakes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from keyvault_svc.domain.anomalies.watch import UseWatch
from keyvault_svc.domain.charging import Charging
from keyvault_svc.domain.handoff import Handoff
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.lease import Lease, LeaseRequest
from keyvault_svc.domain.lease_accounts import LeaseAccounts
from keyvault_svc.domain.lease_proofs import LeaseProver
from keyvault_svc.domain.lease_settling import LeaseSettling
from keyvault_svc.domain.leasing import KeyLeasing, LeasePolicy
from keyvault_svc.domain.limit_store import UsageRow
from keyvault_svc.domain.limits import LimitKind, LimitRef, Limits, LimitScope, Standing
from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.ports import AppProof, HandoffWrapper, OwnerProof
from keyvault_svc.domain.prices import ModelPrice, PriceList
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from keyvault_svc.limits.in_process_ledger import InProcessLedger
from tests.fakes.fake_app_proof import FakeAppProof
from tests.fakes.fake_controls_store import FakeControlsStore
from tests.fakes.fake_owner_proof import FakeOwnerProof
from tests.fakes.fake_settlement_log import FakeSettlementLog
from tests.unit.keyvault_svc.custody_stage import Stage
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record, make_request, make_terms

SETTLE_WITHIN: Final = timedelta(seconds=60)
PRICES: Final = PriceList(
    date(2026, 1, 1),
    {
        "gpt-4o": ModelPrice(
            Decimal("2.5"),
            Decimal("1.25"),
            Decimal(10),
            max_input_tokens=128_000,
            max_output_tokens=16_384,
        ),
        "no-window": ModelPrice(Decimal(1), output=Decimal(1)),
        "embedder": ModelPrice(Decimal("0.02"), max_output_tokens=0),
        "painter": ModelPrice(image=Decimal("0.04"), max_request=Decimal("0.4")),
        "sculptor": ModelPrice(max_request=Decimal(1)),
        "whisper-1": ModelPrice(audio_minute=Decimal("0.006")),
    },
)
REPORTED: Final = Usage(60, 40, model="gpt-4o", source=UsageSource.REPORTED)
TOKENS: Final = Limits(tokens_per_day=1000)
USD: Final = Limits(usd_per_month=Decimal("0.01"))


EVERY: Final = Limits(1, 1, 1000, 1000, 1000, Decimal(1), Decimal(1))
BOUND: Final = 200
"""The most tokens of the request of `LeaseStage.lease`, half of them of the answer."""


def limited(limits: Limits) -> KeyRecord:
    """Return a record of one grant under *limits*."""
    return make_record(make_grant(1, make_terms(limits=limits)))


class LeaseStage(Stage):
    """The use cases, and what they work on."""

    def __init__(
        self,
        *records: KeyRecord,
        policy: LeasePolicy | None = None,
        app_proof: AppProof | None = None,
        owner_proof: OwnerProof | None = None,
        is_always_wrapped: bool = False,
    ) -> None:
        super().__init__(*records, is_always_wrapped=is_always_wrapped)
        self.controls = FakeControlsStore()
        self.log = FakeSettlementLog()
        self.lease_policy = policy or LeasePolicy()
        self.prover = LeaseProver(app_proof or FakeAppProof(), owner_proof or FakeOwnerProof())
        self.watch = UseWatch(self.clock)
        self.accounts = self.replica()
        self.leasing = self.leasing_by(self.accounts)
        self.settling = LeaseSettling(self.accounts, self.verifying)

    def replica(self, prices: PriceList = PRICES) -> LeaseAccounts:
        """Return the accounts of a replica, of this stage's store and a ledger of its own."""
        return LeaseAccounts(
            self.limits,
            InProcessLedger(self.clock, settle_within_seconds=SETTLE_WITHIN.total_seconds()),
            Charging(prices),
            self.notifier,
            self.log,
            self.clock,
            settle_within=SETTLE_WITHIN,
        )

    def leasing_by(
        self, accounts: LeaseAccounts, wrapper: HandoffWrapper | None = None
    ) -> KeyLeasing:
        """Return leasing that reserves by *accounts*, and wraps by *wrapper* if one is given."""
        handoff = self.handoff
        if wrapper is not None:
            handoff = Handoff(wrapper, self.release_log, self.clock, is_always_wrapped=True)
        return KeyLeasing(
            self.records,
            self.controls,
            handoff,
            accounts,
            self.prover,
            self.lease_policy,
            self.clock,
            watch=self.watch,
        )

    async def lease(self, **changes: object) -> Lease:
        """Lease the key for `make_request`, with *changes*."""
        return await self.leasing.acquire(
            replace(make_request(output_token_bound=100), **changes)  # type: ignore[arg-type]  # any field
        )

    async def standing(
        self,
        kind: LimitKind,
        limit: int = 1000,
        scope: LimitScope = LimitScope.GRANT,
        subject: str | None = None,
    ) -> Standing:
        """Return how far a limit is used up, of the first grant unless another is told."""
        grant = f"{KEY.key_id}/{make_grant(1).grant_id}"
        ref = LimitRef(scope, grant if subject is None else subject, kind, limit)
        (standing,) = await self.limits.standings(KEY.owner, [ref], self.clock.now())
        return standing

    async def counted(self, kind: LimitKind) -> tuple[int, int]:
        """Return what is used of the first grant's limit of *kind*, and what is held."""
        standing = await self.standing(kind)
        return standing.used, standing.held

    async def held(self) -> dict[tuple[LimitScope, LimitKind], int]:
        """Return what is used or held of any limit of the key, its owner and its first grant."""
        grant = f"{KEY.key_id}/{make_grant(1).grant_id}"
        subjects = {LimitScope.GRANT: grant, LimitScope.KEY: KEY.key_id, LimitScope.OWNER: ""}
        taken = {}
        for scope, subject in subjects.items():
            for kind in LimitKind:
                standing = await self.standing(kind, 1000, scope, subject)
                if standing.used + standing.held:
                    taken[scope, kind] = standing.used + standing.held
        return taken

    async def rows(self) -> list[UsageRow]:
        """Return all usage of the key's owner."""
        today = self.clock.now().date()
        return await self.limits.usage(KEY.owner, today - timedelta(days=60), today)


def settlement_of(
    lease: Lease,
    usage: Usage = REPORTED,
    outcome: LeaseOutcome = LeaseOutcome.SERVED,
    *,
    http_status: int = 200,
    request: LeaseRequest | None = None,
) -> LeaseSettlement:
    """Return what a gateway reports of *lease*."""
    request = request or make_request()
    return LeaseSettlement(
        lease.lease_id,
        request.request_id,
        GrantName(lease.key, lease.grant_id),
        str(request.app),
        outcome,
        usage,
        http_status,
    )


def outcomes(settlements: Sequence[LeaseSettlement]) -> list[tuple[str, LeaseOutcome]]:
    """Return which lease ended how."""
    return [(settled.lease_id, settled.outcome) for settled in settlements]


def new_lease_id() -> str:
    """Return the id of a lease that nobody gave."""
    return secrets.token_hex(16)
