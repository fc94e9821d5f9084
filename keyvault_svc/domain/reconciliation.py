"""What OpenAI counted for a key beside what went through Keyturn, and what that means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from keyvault_svc.domain.limit_store import UsageRow
from keyvault_svc.domain.names import KeyName


@dataclass(frozen=True, slots=True)
class Counted:
    """What one side counted on one day."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @classmethod
    def of(cls, rows: Iterable[UsageRow]) -> Self:
        """Return what *rows* add up to."""
        rows = tuple(rows)
        return cls(
            sum(row.requests for row in rows),
            sum(row.input_tokens for row in rows),
            sum(row.output_tokens for row in rows),
        )

    @property
    def tokens(self) -> int:
        """Of prompts and answers together."""
        return self.input_tokens + self.output_tokens

    def plus(self, other: Counted) -> Counted:
        """Return both together."""
        return Counted(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )

    def beyond(self, other: Counted) -> Counted:
        """Return by how much this is more than *other*, each figure by itself, and at least 0."""
        return Counted(
            max(0, self.requests - other.requests),
            max(0, self.input_tokens - other.input_tokens),
            max(0, self.output_tokens - other.output_tokens),
        )

    def __str__(self) -> str:
        """Say it in words for people."""
        return f"{self.requests:,} requests with {self.tokens:,} tokens"


class Verdict(StrEnum):
    """What a comparison means."""

    MATCHES = "matches"
    USED_ELSEWHERE = "used_elsewhere"
    COUNTED_LESS = "counted_less"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much both sides may differ.

    They always differ a little: verifications are at OpenAI only, and so is the rest of an answer
    that broke off; a request that runs over midnight ends on another day than it began.

    Attributes:
        requests: Requests, for each key and day.
        tokens: Tokens, for each key and day.
        percent: Of what went through Keyturn, on top of each.
    """

    requests: int = 100
    tokens: int = 2_000
    percent: float = 2.0

    def verdict(self, openai: Counted, keyturn: Counted) -> Verdict:
        """Return what it means that OpenAI counted *openai* where Keyturn counted *keyturn*.

        Fewer requests at OpenAI mean nothing: Keyturn counts those, too, that use no model.
        """
        share = self.percent / 100
        tokens = self.tokens + share * keyturn.tokens
        requests = self.requests + share * keyturn.requests
        if openai.tokens - keyturn.tokens > tokens or openai.requests - keyturn.requests > requests:
            return Verdict.USED_ELSEWHERE
        return Verdict.COUNTED_LESS if keyturn.tokens - openai.tokens > tokens else Verdict.MATCHES


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides of one key at OpenAI.

    Attributes:
        openai_key_id: Its id there.
        keys: The keys that have it: several where the same plaintext is in custody under each.
        keyturn: What went through Keyturn, with all of them.
        openai: What OpenAI counted.
    """

    openai_key_id: str
    keys: tuple[KeyName, ...]
    keyturn: Counted
    openai: Counted
    verdict: Verdict

    @property
    def excess(self) -> Counted:
        """What OpenAI counted beyond Keyturn."""
        return self.openai.beyond(self.keyturn)
