"""The limit that a request does not fit into, as the key service tells it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Self

_SCOPES: Final = {"grant": "grant", "key": "key", "owner": "key's owner"}
# `{}` is the amount. The names are those of the fields of `Limits` of the contract.
_KINDS: Final = {
    "concurrent_calls": "{} calls at the same time",
    "requests_per_minute": "{} requests per minute",
    "tokens_per_minute": "{} tokens per minute",
    "tokens_per_day": "{} tokens per day",
    "tokens_per_month": "{} tokens per month",
    "usd_per_day": "{} USD per day",
    "usd_per_month": "{} USD per month",
}
_MICRO_USD: Final = Decimal(1_000_000)
_AMOUNT: Final = re.compile(r"[0-9]{1,19}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,6})?(?:Z|\+00:00)")


@dataclass(frozen=True, slots=True)
class ReachedLimit:
    """One limit, and what is left of it. All of it is safe to show.

    Attributes:
        scope: Whose it is: `grant`, `key` or `owner`.
        kind: What it limits, such as `usd_per_month`.
        limit: The most; millionths of a USD where it limits USD.
        remaining: What is left, likewise.
        end_time: When all of it is there again; None when that is not known.
    """

    scope: str
    kind: str
    limit: int
    remaining: int
    end_time: datetime | None = None

    @classmethod
    def of(cls, unverified: Mapping[str, str]) -> Self | None:
        """Return the limit that *unverified* details tell; None when they tell none."""
        scope, kind = unverified.get("scope", ""), unverified.get("kind", "")
        amounts = [unverified.get(name, "") for name in ("limit", "remaining")]
        if scope not in _SCOPES or kind not in _KINDS:
            return None
        if not all(_AMOUNT.fullmatch(amount) for amount in amounts):
            return None
        limit, remaining = map(int, amounts)
        return cls(scope, kind, limit, remaining, _time(unverified.get("end_time", "")))

    @property
    def counts_tokens(self) -> bool:
        """Whether it limits tokens."""
        return self.kind.startswith("tokens")

    @property
    def text(self) -> str:
        """A sentence for people."""
        most = _KINDS[self.kind].format(self._amount(self.limit))
        until = f" until {self.end_time:%Y-%m-%d %H:%M:%S} UTC" if self.end_time else ""
        left = self._amount(self.remaining)
        return f"The {_SCOPES[self.scope]} may take {most}; {left} left{until}."

    @property
    def details(self) -> dict[str, str]:
        """The same for programs, as the key service tells it."""
        details = {
            "scope": self.scope,
            "kind": self.kind,
            "limit": str(self.limit),
            "remaining": str(self.remaining),
        }
        if self.end_time is not None:
            details["end_time"] = self.end_time.isoformat()
        return details

    def _amount(self, amount: int) -> str:
        return usd(amount) if self.kind.startswith("usd") else f"{amount:,}"


def usd(micro_usd: int) -> str:
    """Return *micro_usd*, millionths of a USD, as a decimal number of USD."""
    return f"{(Decimal(micro_usd) / _MICRO_USD).normalize():f}"


def _time(unverified: str) -> datetime | None:
    if not _TIME.fullmatch(unverified):
        return None
    try:
        return datetime.fromisoformat(unverified).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
