"""A key service whose keys are given, and an OpenAI whose answers are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import Lease
from gateway_svc.domain.reconciliation import (
    AdminLease,
    Comparison,
    Counted,
    KeyListing,
    OpenAIUsage,
    UsagePage,
    UsageQuestion,
    Verdict,
)
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START


class FakeReconciliationDesk:
    """`ReconciliationDesk` in memory. Every key that OpenAI counted anything for is elsewhere.

    Attributes:
        leases: How many it gave.
        reports: What each report said.
        rechecks: How often the admin key was to be verified.
    """

    def __init__(self, listing: KeyListing, *, lease_seconds: float = 10.0) -> None:
        self._listing = listing
        self._lease_seconds = lease_seconds
        self.leases = 0
        self.reports: list[list[OpenAIUsage]] = []
        self.rechecks = 0

    async def list_keys(self, day: date | None) -> KeyListing:
        """Return the keys."""
        assert day in {None, self._listing.day}
        return self._listing

    async def lease_admin_key(self) -> AdminLease:
        """Return a lease of its own."""
        self.leases += 1
        return AdminLease(
            f"request-{self.leases:04}",
            KeyName.parse("teams/operators/keys/openai-admin"),
            SpiffeId.parse("spiffe://example.org/gateway"),
            Lease(
                f"{self.leases:032x}", 1, "", START + timedelta(seconds=self._lease_seconds), "c"
            ),
        )

    async def report(self, day: date, usages: Sequence[OpenAIUsage]) -> list[Comparison]:
        """Compare with nothing."""
        assert day == self._listing.day
        self.reports.append(list(usages))
        return [
            Comparison(
                usage.openai_key_id,
                usage.keys,
                Counted(),
                usage.counted,
                Verdict.USED_ELSEWHERE if usage.counted.requests else Verdict.MATCHES,
            )
            for usage in usages
        ]

    async def recheck_admin_key(self) -> None:
        """Count it."""
        self.rechecks += 1


class FakeUsageAdmin:
    """`UsageAdmin` that answers in turn, and with nothing after that.

    Attributes:
        asked: Every question, with its key.
    """

    def __init__(self, *answers: UsagePage | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[UsageQuestion, SecretBytes]] = []

    async def ask(
        self, question: UsageQuestion, admin_key: SecretBytes, base_url: str
    ) -> UsagePage:
        """Return or raise the next answer."""
        assert base_url == ""
        self.asked.append((question, admin_key))
        answer = self._answers.pop(0) if self._answers else UsagePage({}, "")
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeQuestionLog:
    """`QuestionLog` in a list.

    Attributes:
        told: The lease's id, the kind and the outcome of each question.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def asked(self, leased: AdminLease, question: UsageQuestion, outcome: str) -> None:
        """Remember it."""
        self.told.append((leased.lease.lease_id, question.kind.value, outcome))
