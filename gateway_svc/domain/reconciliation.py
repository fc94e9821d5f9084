"""What reconciliation compares, and who is asked for it, as contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol

from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import Lease
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId


class UsageKind(StrEnum):
    """What OpenAI counts apart. What models do by tools is part of their requests."""

    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"
    MODERATIONS = "moderations"
    AUDIO_SPEECHES = "audio_speeches"
    AUDIO_TRANSCRIPTIONS = "audio_transcriptions"


@dataclass(frozen=True, slots=True)
class Counted:
    """What one side counted for a key on one day."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def plus(self, other: Counted) -> Counted:
        """Return both together."""
        return Counted(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class UsagePage:
    """One answer of OpenAI's usage API.

    Attributes:
        counted: By the key's id at OpenAI.
        next_page: Asks for what did not fit; empty when this is all.
    """

    counted: Mapping[str, Counted]
    next_page: str


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """One question to OpenAI's usage API.

    Attributes:
        day: In UTC.
        openai_key_ids: Whose usage to tell.
        page: `UsagePage.next_page` of the answer before; empty for the first.
    """

    kind: UsageKind
    day: date
    openai_key_ids: tuple[str, ...]
    page: str = ""


class UsageAdmin(Protocol):
    """OpenAI's usage API."""

    async def ask(
        self, question: UsageQuestion, admin_key: SecretBytes, base_url: str
    ) -> UsagePage:
        """Return what OpenAI counted, by one request.

        Args:
            question: What to ask.
            admin_key: The key that may ask.
            base_url: Where; empty for the deployment's own choice.

        Raises:
            KeyRejectedUpstreamError: OpenAI does not accept the admin key.
            UpstreamForbiddenError: The admin key may not ask for usage.
            UpstreamNotAllowedError: The gateway's operator does not allow *base_url*.
            UpstreamRateLimitedError: Too many questions.
            UpstreamUnavailableError: OpenAI cannot be reached, or failed.
            UpstreamTimedOutError: It did not answer in time.
            UpstreamAnswerUnusableError: What it answered is no usage.
        """


@dataclass(frozen=True, slots=True)
class AdminLease:
    """A lease of the admin key: the purpose for which it is opened, and the lease itself."""

    request_id: str
    key: KeyName
    app: SpiffeId
    lease: Lease


@dataclass(frozen=True, slots=True)
class ReconciledKey:
    """A key that can be compared."""

    key: KeyName
    openai_key_id: str


@dataclass(frozen=True, slots=True)
class KeyListing:
    """The keys that can be compared, and those that cannot.

    Attributes:
        day: In UTC; the last one that can be compared, where none was asked for.
    """

    day: date
    keys: tuple[ReconciledKey, ...]
    uncovered: tuple[KeyName, ...]


@dataclass(frozen=True, slots=True)
class OpenAIUsage:
    """What OpenAI counted for one of its keys, and the names of the keys that it is."""

    openai_key_id: str
    keys: tuple[KeyName, ...]
    counted: Counted


class Verdict(StrEnum):
    """What a comparison means; the key service decides."""

    MATCHES = "matches"
    USED_ELSEWHERE = "used_elsewhere"
    COUNTED_LESS = "counted_less"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides of one key at OpenAI."""

    openai_key_id: str
    keys: tuple[KeyName, ...]
    keyturn: Counted
    openai: Counted
    verdict: Verdict


class AdminKeyMissingError(Exception):
    """The key service reconciles nothing, or has no admin key in custody. No app sees this."""


class QuestionLog(Protocol):
    """Writes down what the admin key was used for."""

    def asked(self, leased: AdminLease, question: UsageQuestion, outcome: str) -> None:
        """Write down that *question* was asked, and `answered` or the reason why not."""


class ReconciliationDesk(Protocol):
    """The key service.

    Every method raises `AdminKeyMissingError`, or a `ServiceError` when it cannot answer or does
    not want to.
    """

    async def list_keys(self, day: date | None) -> KeyListing:
        """Return all keys that can be compared on *day*; None for the last that can be."""

    async def lease_admin_key(self) -> AdminLease:
        """Return a lease of the admin key for one question."""

    async def report(self, day: date, usages: Sequence[OpenAIUsage]) -> Sequence[Comparison]:
        """Tell what OpenAI counted, and return what it means."""

    async def recheck_admin_key(self) -> None:
        """Have the admin key verified, because OpenAI refused it."""
