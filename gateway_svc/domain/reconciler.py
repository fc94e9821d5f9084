"""The use case of reconciliation: ask OpenAI what it counted, and have it compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from gateway_svc.domain.errors import (
    KeyRejectedUpstreamError,
    LeaseExpiredError,
    UpstreamAnswerUnusableError,
    UpstreamRateLimitedError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import KeyOpener
from gateway_svc.domain.reconciliation import (
    Comparison,
    Counted,
    OpenAIUsage,
    QuestionLog,
    ReconciledKey,
    ReconciliationDesk,
    UsageAdmin,
    UsageKind,
    UsagePage,
    UsageQuestion,
    Verdict,
)
from svc_runtime.clock import Clock
from svc_runtime.service_error import ServiceError

IDS_AT_ONCE: Final = 50  # in one question: some 2 KiB of its URL
_USAGES_AT_ONCE: Final = 50  # in one report
_NAMES_AT_ONCE: Final = 500  # in one report; the key service reads the record of each
_OPEN_SECONDS: Final = 5.0
_PAUSES: Final = (1.0, 5.0, 20.0)  # seconds before a question is asked again
_MAX_PAGES: Final = 1_000  # of one question: more means that OpenAI sends us round in circles
_ANSWERED: Final = "answered"
_BROKEN: Final = "broken_off"
_PASSING: Final = (UpstreamRateLimitedError, UpstreamTimedOutError, UpstreamUnavailableError)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One day, compared.

    Attributes:
        day: In UTC.
        comparisons: Of the keys whose id at OpenAI is known, by name.
        uncovered: Other keys of the same owners, and keys of an id that too many say to have:
            whether they are used elsewhere is not known.
    """

    day: date
    comparisons: tuple[Comparison, ...]
    uncovered: tuple[KeyName, ...]

    @property
    def used_elsewhere(self) -> int:
        """How many keys are."""
        return sum(c.verdict is Verdict.USED_ELSEWHERE for c in self.comparisons)


class Reconciler:
    """Reconciles one day."""

    def __init__(
        self,
        desk: ReconciliationDesk,
        opener: KeyOpener,
        admin: UsageAdmin,
        log: QuestionLog,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        """Prepare.

        Args:
            desk: The key service.
            opener: Vault.
            admin: OpenAI.
            log: Of every use of the admin key.
            clock: Source of time.
            sleep: Waits for a number of seconds.
        """
        self._desk = desk
        self._opener = opener
        self._admin = admin
        self._log = log
        self._clock = clock
        self._sleep = sleep

    async def run(self, day: date | None, show: Callable[[int, int], None]) -> Reconciliation:
        """Compare *day*, in UTC; None for the last one that can be compared.

        1. Ask the key service which keys there are.
        2. Ask OpenAI what it counted for each: everything, before anything is reported, since half
           of it could only look like less.
        3. Report it. The key service decides what it means, and tells owners.

        Args:
            day: The day.
            show: Called with how many questions are answered, and with how many there are.

        Raises:
            AdminKeyMissingError: There is none in custody.
            ServiceError: Key service, Vault or OpenAI cannot answer, or refuse.
        """
        listing = await self._desk.list_keys(day)  # (1)
        names, crowded = _by_id(listing.keys)
        ids = sorted(names)
        questions = [
            UsageQuestion(kind, listing.day, tuple(ids[begin : begin + IDS_AT_ONCE]))
            for kind in UsageKind
            for begin in range(0, len(ids), IDS_AT_ONCE)
        ]
        counted: dict[str, Counted] = defaultdict(Counted)
        for position, question in enumerate(questions):  # (2)
            show(position, len(questions))
            await self._count(question, counted)
        show(len(questions), len(questions))
        usages = [OpenAIUsage(i, tuple(sorted(names[i], key=str)), counted[i]) for i in ids]
        comparisons: list[Comparison] = []
        for part in _parts(usages):  # (3)
            comparisons += await self._desk.report(listing.day, part)
        return Reconciliation(
            listing.day,
            tuple(sorted(comparisons, key=lambda c: [str(name) for name in c.keys])),
            tuple(sorted({*listing.uncovered, *crowded}, key=str)),
        )

    async def _count(self, question: UsageQuestion, counted: dict[str, Counted]) -> None:
        """Add to *counted* what OpenAI answers, all pages of it."""
        for _ in range(_MAX_PAGES):
            page = await self._ask_patiently(question)
            for key_id, more in page.counted.items():
                if key_id in question.openai_key_ids:
                    counted[key_id] = counted[key_id].plus(more)
            if not page.next_page:
                return
            question = replace(question, page=page.next_page)
        raise UpstreamAnswerUnusableError

    async def _ask_patiently(self, question: UsageQuestion) -> UsagePage:
        """Ask, and again after a while when OpenAI cannot answer now."""
        for pause in _PAUSES:
            try:
                return await self._ask(question)
            except _PASSING:
                await self._sleep(pause)
        return await self._ask(question)

    async def _ask(self, question: UsageQuestion) -> UsagePage:
        """Ask OpenAI once: one lease, one decrypt, one request."""
        leased = await self._desk.lease_admin_key()
        if self._clock.now() >= leased.lease.expire_time:
            raise LeaseExpiredError
        outcome = _BROKEN
        try:
            admin_key = await self._opener.open(leased, leased.lease, _OPEN_SECONDS)
            page = await self._admin.ask(question, admin_key, leased.lease.base_url)
            outcome = _ANSWERED
        except KeyRejectedUpstreamError as error:
            outcome = error.reason
            with suppress(ServiceError):  # what OpenAI said is what the operator must know
                await self._desk.recheck_admin_key()
            raise
        except ServiceError as error:
            outcome = error.reason
            raise
        finally:
            self._log.asked(leased, question, outcome)
        return page


def _by_id(keys: Sequence[ReconciledKey]) -> tuple[dict[str, set[KeyName]], set[KeyName]]:
    """Return which keys have which id at OpenAI: the same plaintext may go by several names.

    Anybody may say to have any id. So keys of an id that more say to have than a report can hold
    are returned apart: they must not end the job for all others.
    """
    names: dict[str, set[KeyName]] = defaultdict(set)
    for key in keys:
        names[key.openai_key_id].add(key.key)
    crowded = [key_id for key_id, having in names.items() if len(having) > _NAMES_AT_ONCE]
    return names, {name for key_id in crowded for name in names.pop(key_id)}


def _parts(usages: Sequence[OpenAIUsage]) -> Iterator[list[OpenAIUsage]]:
    """Yield *usages* in parts, each for one report."""
    part: list[OpenAIUsage] = []
    count = 0
    for usage in usages:
        count += len(usage.keys)
        if part and (len(part) == _USAGES_AT_ONCE or count > _NAMES_AT_ONCE):
            yield part
            part, count = [], len(usage.keys)
        part.append(usage)
    if part:
        yield part
