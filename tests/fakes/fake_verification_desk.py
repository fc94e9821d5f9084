"""A key service that hands verifications out, and writes down what is reported."""

from __future__ import annotations

from collections.abc import Sequence

from gateway_svc.domain.verification import VerificationOutcome
from gateway_svc.domain.verifier import Verification


class FakeVerificationDesk:
    """`VerificationDesk` in memory.

    Attributes:
        reports: What was reported, by the lease's id.
        claim_count: How often it was asked.
    """

    def __init__(
        self,
        claims: Sequence[Verification | Exception | None] = (),
        *,
        refuses_report: Exception | None = None,
    ) -> None:
        """Answer with *claims* in turn, and with nothing after them."""
        self._claims = list(claims)
        self._refuses_report = refuses_report
        self.reports: list[tuple[str, VerificationOutcome]] = []
        self.claim_count = 0

    async def claim(self) -> Verification | None:
        """Return or raise the next claim."""
        self.claim_count += 1
        claim = self._claims.pop(0) if self._claims else None
        if isinstance(claim, Exception):
            raise claim
        return claim

    async def report(self, verification: Verification, outcome: VerificationOutcome) -> None:
        """Write *outcome* down."""
        if self._refuses_report is not None:
            raise self._refuses_report
        self.reports.append((verification.lease.lease_id, outcome))
