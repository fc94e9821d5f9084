"""The arguments of the scripts, and what their answers mean."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.resources import files
from typing import Any, Final

from keyvault_svc.domain.limit_store import (
    KEEP_USAGE,
    Crossing,
    Exceeded,
    Held,
    Reservation,
    Settled,
    Taken,
    UsageRow,
)
from keyvault_svc.domain.limits import WINDOWED, LimitScope
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.counters import (
    KEEP_LEASE,
    KEEP_NETWORK,
    KEEP_SUBJECT,
    MAX_NETWORKS,
    MAX_USAGE_ROWS,
    OTHER_MODEL,
    Counter,
    OpenLease,
    clipped,
    repeated,
    stored_row,
    subject_digest,
    to_us,
)


@dataclass(frozen=True, slots=True)
class Script:
    """A script that the server keeps under its digest."""

    text: str
    digest: str

    @classmethod
    def load(cls, name: str) -> Script:
        """Return the script that comes along under *name*."""
        text = (files("keyvault_svc.limits") / name).read_text("utf-8")
        # What the servers call it by: SHA-1, and no secret.
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


RESERVE: Final = Script.load("reserve.lua")
SETTLE: Final = Script.load("settle.lua")


class Keys:
    """Names of an owner's keys: all in one slot of a cluster, by the tag in braces."""

    def __init__(self, owner: OwnerName) -> None:
        self._prefix = f"keyturn:{{{owner}}}:"

    @staticmethod
    def probe() -> str:
        """A key that nobody writes, to ask for."""
        return "keyturn:probe"

    @property
    def index(self) -> str:
        """All the others, by when they are removed."""
        return f"{self._prefix}index"

    @property
    def days(self) -> str:
        """Days of which there is usage."""
        return f"{self._prefix}days"

    def lease(self, lease_id: str) -> str:
        """One lease."""
        return f"{self._prefix}lease:{clipped(lease_id)}"

    def counter(self, counter: Counter) -> str:
        """One counter."""
        ref = counter.ref
        name = f"{self._prefix}{ref.kind}:{ref.scope}:{clipped(ref.subject)}"
        return name if counter.is_calls else f"{name}:{counter.begin_us // 1_000_000}"

    def is_spent_by_owner(self, key: str) -> bool:
        """Tell whether *key* is a counter of a rate or budget of the owner's own."""
        kind, _, rest = key.removeprefix(self._prefix).partition(":")
        return kind in WINDOWED and rest.startswith(f"{LimitScope.OWNER}:")

    def usage(self, day: str) -> str:
        """Rows of one day."""
        return f"{self._prefix}usage:{day}"

    def networks(self, grant_id: str) -> str:
        """Networks that a grant was used from."""
        return f"{self._prefix}networks:{clipped(grant_id)}"

    def baseline(self, grant_id: str) -> str:
        """Figures of a grant's baseline."""
        return f"{self._prefix}baseline:{clipped(grant_id)}"

    def subject(self, subject: str) -> str:
        """One subject that was counted."""
        return f"{self._prefix}subject:{subject_digest(subject)}"


@dataclass(frozen=True, slots=True)
class ReserveCall:
    """One call of the script that reserves."""

    reservation: Reservation
    lease: OpenLease
    now: datetime

    def keys(self) -> list[str]:
        """Return its keys."""
        keys = Keys(self.reservation.owner)
        counters = [keys.counter(counter) for counter in self.lease.counters]
        return [keys.index, keys.lease(self.reservation.lease_id), *counters]

    def argument(self) -> str:
        """Return its argument."""
        end = self.reservation.end_time
        return json.dumps(
            {
                "now": to_us(self.now),
                "lease_id": clipped(self.reservation.lease_id),
                "end": to_us(end),
                "forget": to_us(end + KEEP_LEASE),
                "reserved": self.lease.encode(),
                "note": self.reservation.note,
                "counters": [
                    {
                        "calls": counter.is_calls,
                        "amount": counter.amount(self.lease.amounts),
                        "limit": counter.limit,
                        "forget": counter.forget_us,
                    }
                    for counter in self.lease.counters
                ],
            }
        )

    def result(self, answer: list[int]) -> Held | Exceeded:
        """Return what *answer* means."""
        counters = self.lease.counters
        if answer[0] == 0:
            _, full, used, held, soonest_us = answer
            amount = counters[full].amount(self.lease.amounts)
            return counters[full].exceeded(used, held, amount, soonest_us)
        pairs = zip(answer[1::2], answer[2::2], strict=True)
        return Held(tuple(c.standing(*pair) for c, pair in zip(counters, pairs, strict=True)))


@dataclass(frozen=True, slots=True)
class SettleCall:
    """One call of the script that settles.

    Attributes:
        attempt: Differs between settlements, not between repetitions of one for want of an answer.
    """

    taken: Taken
    lease: OpenLease
    now: datetime
    attempt: str

    def keys(self) -> list[str]:
        """Return its keys."""
        keys, taken = Keys(self.taken.owner), self.taken
        return [
            keys.index,
            keys.lease(taken.lease_id),
            keys.days,
            keys.usage(taken.row.day.isoformat() if taken.row else ""),
            keys.networks(taken.grant_id),
            keys.subject(taken.subject),
            *(keys.counter(counter) for counter in self._counters()),
        ]

    def argument(self) -> str:
        """Return its argument."""
        taken = self.taken
        amounts = self.lease.charged(taken)
        again = repeated(amounts)
        argument: dict[str, Any] = {
            "now": to_us(self.now),
            "lease_id": clipped(taken.lease_id),
            "attempt": self.attempt,
            "keep": {
                "usage": to_us(self.now + KEEP_USAGE),
                "network": to_us(self.now + KEEP_NETWORK),
                "subject": to_us(self.now + KEEP_SUBJECT),
            },
            "has_subject": bool(taken.subject),
            "counters": [
                {
                    "calls": counter.is_calls,
                    "amount": counter.amount(amounts),
                    "repeated": counter.amount(again),
                    "reserved": counter.amount(self.lease.amounts),
                    "thresholds": counter.thresholds(taken.warning_percents),
                }
                for counter in self._counters()
            ],
        }
        if taken.row:
            argument["usage"] = _usage(stored_row(taken.row))
        if taken.grant_id:
            argument["use"] = {"network": clipped(taken.network), "max": MAX_NETWORKS}
        return json.dumps(argument)

    def result(self, answer: str) -> Settled:
        """Return what *answer* means."""
        is_first_use, is_new_network, *crossings = map(int, answer.split(","))
        counters = self._counters()
        return Settled(
            tuple(
                Crossing(counters[place].standing(used, held), percent)
                for place, percent, used, held in zip(*[iter(crossings)] * 4, strict=True)
            ),
            bool(is_first_use),
            bool(is_new_network),
        )

    def _counters(self) -> list[Counter]:
        return self.lease.live(to_us(self.now))


def _usage(row: UsageRow) -> dict[str, Any]:
    ordinal = row.day.toordinal()
    return {
        "day": row.day.isoformat(),
        "ordinal": ordinal,
        "oldest": ordinal - KEEP_USAGE.days,
        "forget": to_us(datetime.combine(row.day, time(), UTC) + KEEP_USAGE),
        "field": json.dumps([row.key_id, row.grant_id, row.app, row.model, row.member]),
        "other": json.dumps([row.key_id, row.grant_id, row.app, OTHER_MODEL, ""]),
        "max": MAX_USAGE_ROWS,
        "amounts": [
            row.requests,
            row.input_tokens,
            row.output_tokens,
            row.micro_usd,
            row.unpriced_requests,
        ],
    }


def usage_rows(day: str, stored: dict[str, str]) -> list[UsageRow]:
    """Return the rows of one day, sorted, from its fields."""
    rows = [
        UsageRow(date.fromisoformat(day), *json.loads(field), *map(int, amounts.split()))
        for field, amounts in stored.items()
    ]
    return sorted(rows, key=lambda r: (r.key_id, r.grant_id, r.app, r.model, r.member))
