"""Who used which key, and when: sums of uses by owner, key, app and time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from keyturn_cli.audit.deployment import Deployment
from keyturn_cli.audit.entries import ServiceRecord, VaultEntry
from keyturn_cli.audit.key_uses import KeyUse, KeyUses, UseKind
from keyturn_cli.audit.lease_ids import lease_time_us
from keyturn_cli.audit.operation_feed import OperationFeed
from keyturn_cli.audit.operations import Operation
from keyturn_cli.audit.options import SECOND_US
from keyturn_cli.audit.time_span import ALWAYS, TimeSpan

MAX_ROWS: Final = 50_000  # some 50 MB
MAX_WORDS: Final = 16  # different models of one row; apps write what they like

OTHER_WORDS: Final = "others"

_KEY_SERVICE: Final = "keyvault-svc"
_UNSETTLED: Final = "unsettled"
_MAX_TOKENS: Final = 2**53
_MAX_USD: Final = Decimal(10**9)  # of one call; above it is no price
_USD_STEP: Final = Decimal("1e-12")


class Dimension(StrEnum):
    """By what uses are summed up. Days and hours are of UTC."""

    OWNER = "owner"
    KEY = "key"
    APP = "app"
    DAY = "day"
    HOUR = "hour"


TIMES: Final = frozenset({Dimension.DAY, Dimension.HOUR})


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which uses a report is about: empty sets mean all."""

    owners: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    span: TimeSpan = ALWAYS

    def takes(self, key: str, app: str, time_us: int) -> bool:
        """Return whether a use of *key* by *app* is among them."""
        return (
            (not self.owners or owner_of(key) in self.owners)
            and (not self.keys or key in self.keys)
            and (not self.apps or app in self.apps)
            and self.span.holds(time_us)
        )


@dataclass(slots=True)
class ReportRow:
    """The uses of one group.

    Attributes:
        opened_count: How often a key was opened.
        refused_count: How often a record was read for an app and the key was not opened then.
        irregular_count: Of the openings, those past the rules.
        first_us, last_us: Of the openings and refusals; 0 without any.
        settled_count: Leases whose end the key service logged.
        unsettled_count: Of these, those that nobody settled: tokens and USD are their upper bounds.
        input_tokens, output_tokens, usd: Of all settled leases.
        unpriced_count: Settled leases that are not in `usd`: their price is not known.
        models: Of settled leases.
        reasons: Of the key service's refusals.
    """

    opened_count: int = 0
    refused_count: int = 0
    irregular_count: int = 0
    first_us: int = 0
    last_us: int = 0
    settled_count: int = 0
    unsettled_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = Decimal()
    unpriced_count: int = 0
    models: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add_use(self, use: KeyUse) -> None:
        """Count *use*."""
        if use.kind is UseKind.OPENED:
            self.opened_count += 1
        else:
            self.refused_count += 1
        self.irregular_count += use.is_irregular
        self.first_us = min(self.first_us or use.time_us, use.time_us)
        self.last_us = max(self.last_us, use.time_us)

    def add_settlement(self, record: ServiceRecord) -> None:
        """Count what *record* says that a lease took."""
        self.settled_count += 1
        self.unsettled_count += record.text("outcome") == _UNSETTLED
        self.input_tokens += _tokens(record.fields.get("input_tokens"))
        self.output_tokens += _tokens(record.fields.get("output_tokens"))
        usd = _usd(record.text("cost_usd"))
        if usd is None:
            self.unpriced_count += 1
        else:
            self.usd += usd
        _count(self.models, record.text("model"))

    def add_refusal(self, record: ServiceRecord) -> None:
        """Count why the key service refused a lease."""
        _count(self.reasons, record.text("reason"))


class UsageReport:
    """Sums up uses, from Vault's audit log alone; services' logs add tokens, cost and reasons.

    Attributes:
        by: What a row is of.
        rows: By the words of `by`, in its order.
        rest: What came to no row, because there were too many; None when all did.
        total: Of all rows and the rest.
        unnamed_count: Openings in the span of time that name no key, whatever else was chosen.
        has_service_logs: Whether a key service's log told anything.
    """

    def __init__(
        self,
        deployment: Deployment,
        by: Sequence[Dimension],
        chosen: ReportFilter,
        max_rows: int = MAX_ROWS,
    ) -> None:
        """Sum up by *by* what *chosen* takes, in at most *max_rows* rows."""
        self.by = tuple(by)
        self._deployment = deployment
        self._chosen = chosen
        self._max_rows = max_rows
        self._feed = OperationFeed(deployment.options.skew_us)
        self._uses = KeyUses(deployment, self._feed.span)
        self.rows: dict[tuple[str, ...], ReportRow] = {}
        self.rest: ReportRow | None = None
        self.total = ReportRow()
        self.unnamed_count = 0
        self.has_service_logs = False

    def see_vault(self, entry: VaultEntry) -> None:
        """Take the next entry of Vault's audit log."""
        for operation in self._feed.see(entry):
            self._see(operation)

    def see_service(self, record: ServiceRecord) -> None:
        """Take the next record of a service's log."""
        if record.text("service") != _KEY_SERVICE:
            return
        self.has_service_logs = True
        if record.text("event") == "lease_settled":
            for row in self._rows_of(record):
                row.add_settlement(record)
        elif record.text("method").endswith("/AcquireLease") and record.text("reason"):
            for row in self._rows_of(record):
                row.add_refusal(record)

    def finish(self) -> None:
        """Take the end of the logs."""
        for operation in self._feed.finish():
            self._see(operation)
        for use in self._uses.finish():
            self._add(use)

    def sorted_rows(self) -> list[tuple[tuple[str, ...], ReportRow]]:
        """Return the rows: in the order of time if it is among `by`, else the most used first."""
        if any(dimension in TIMES for dimension in self.by):
            times = [at for at, dimension in enumerate(self.by) if dimension in TIMES]
            return sorted(
                self.rows.items(), key=lambda item: ([item[0][at] for at in times], item[0])
            )
        return sorted(
            self.rows.items(),
            key=lambda item: (-item[1].opened_count, -item[1].refused_count, item[0]),
        )

    def _see(self, operation: Operation) -> None:
        for use in self._uses.see(operation, self._deployment.act(operation.entry)):
            self._add(use)

    def _add(self, use: KeyUse) -> None:
        self.unnamed_count += not use.key and self._chosen.span.holds(use.time_us)
        for row in self._rows_for(use.key, use.app, use.time_us):
            row.add_use(use)

    def _rows_of(self, record: ServiceRecord) -> tuple[ReportRow, ...]:
        """Return the rows that *record* counts in: those of the time at which its lease was made.

        A call may end, and be settled, an hour after its key was opened.
        """
        time_us = lease_time_us(record.text("lease")) or record.time_us
        return self._rows_for(record.text("key"), record.text("app"), time_us)

    def _rows_for(self, key: str, app: str, time_us: int) -> tuple[ReportRow, ...]:
        if not self._chosen.takes(key, app, time_us):
            return ()
        group = tuple(_word(dimension, key, app, time_us) for dimension in self.by)
        row = self.rows.get(group)
        if row is None:
            if len(self.rows) < self._max_rows:
                row = self.rows[group] = ReportRow()
            else:
                row = self.rest = self.rest or ReportRow()
        return row, self.total


def owner_of(key: str) -> str:
    """Return the owner of *key*, which its name begins with."""
    return "/".join(key.split("/", 2)[:2])


def _word(dimension: Dimension, key: str, app: str, time_us: int) -> str:
    if dimension is Dimension.OWNER:
        return owner_of(key)
    if dimension is Dimension.KEY:
        return key
    if dimension is Dimension.APP:
        return app
    time = datetime.fromtimestamp(time_us // SECOND_US, UTC)
    return time.strftime("%Y-%m-%d" if dimension is Dimension.DAY else "%Y-%m-%dT%H")


def _count(words: Counter[str], word: str) -> None:
    if word:
        words[word if word in words or len(words) < MAX_WORDS else OTHER_WORDS] += 1


def _tokens(value: object) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_TOKENS
    return value if is_count and isinstance(value, int) else 0


def _usd(text: str) -> Decimal | None:
    try:
        usd = Decimal(text)
    except InvalidOperation:
        return None
    if not usd.is_finite() or not 0 <= usd < _MAX_USD:
        return None
    return usd.quantize(_USD_STEP)
