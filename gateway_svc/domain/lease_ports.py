"""What calls need from the key service and from Vault, as contracts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.usage import Usage
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """What the key service is told of a call; see `AcquireLeaseRequest` of the contract.

    Attributes:
        method: HTTP method, or `WEBSOCKET`.
        body_sha256: Empty for a body that is streamed: nobody has seen its end yet.
        input_token_bound: The most tokens that the prompt can have; 0 when it is not bounded.
        output_token_bound: The most tokens that the answer can have; 0 when it is not bounded.
        app_token: The app's own proof of who it is, if it sent one.
        answer_count: How many answers it asks for.
        runs_tools: Whether OpenAI may run tools of its own, whose findings join the prompt.
        owner_token: ID token of a person whose presence the app claims, if it sent one.
    """

    request_id: str
    key: KeyName
    app: SpiffeId
    method: str
    endpoint: str
    model: str
    source_ip: str
    body_sha256: bytes
    input_token_bound: int
    output_token_bound: int
    app_token: SecretBytes | None
    more_models: tuple[str, ...] = ()
    owner_token: SecretBytes | None = None
    answer_count: int = 1
    runs_tools: bool = False


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left after a request, of the tightest limit of each sort; None for no limit.

    Attributes:
        micro_usd: Millionths of a USD.
    """

    requests: int | None = None
    tokens: int | None = None
    micro_usd: int | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use one key for one request.

    Attributes:
        grant: The grant that allowed it; empty for a lease to verify a key.
        expire_time: A key that was not opened by then must not be.
        ciphertext: The key as Vault's transit engine sealed it; empty when it is wrapped.
        wrapping_token: What Vault exchanges for the ciphertext, once; None when it is inline.
        base_url: Where at OpenAI the key is used, such as `https://eu.api.openai.com/v1`; empty for
            the deployment's own choice.
        may_choose_account: Whether the app may name OpenAI's organisation and project.
        remaining: What is left of the limits that the request counts against.
    """

    lease_id: str
    key_version: int
    grant: str
    expire_time: datetime
    ciphertext: str = field(repr=False)
    wrapping_token: SecretBytes | None = None
    base_url: str = ""
    may_choose_account: bool = False
    remaining: Remaining = field(default_factory=Remaining)


class KeyPurpose(Protocol):
    """For what a key is opened: what Vault's audit log shows beside the opening."""

    @property
    def request_id(self) -> str:
        """The request that it serves."""

    @property
    def key(self) -> KeyName:
        """The name under which the key opens."""

    @property
    def app(self) -> SpiffeId:
        """The app that is served; the gateway itself for a verification."""


class LeaseOutcome(StrEnum):
    """How a leased request ended."""

    SERVED = "served"
    KEY_REJECTED = "key_rejected"
    UPSTREAM_FAILED = "upstream_failed"
    CANCELLED = "cancelled"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True)
class LeaseSettlement:
    """What became of a lease; see `LeaseSettlement` of the contract.

    Attributes:
        body_sha256: SHA-256 of a body that was streamed, once it is known; else empty.
    """

    lease_id: str
    request_id: str
    key: str
    grant: str
    app: str
    outcome: LeaseOutcome
    usage: Usage = field(default_factory=Usage)
    http_status: int = 0
    openai_request_id: str = ""
    body_sha256: bytes = b""


class KeyLeaser(Protocol):
    """The key service."""

    async def acquire(self, request: LeaseRequest, timeout_seconds: float) -> Lease:
        """Return a lease for one request.

        Raises:
            ServiceError: The key service's refusal, or `KeyServiceUnavailableError`.
        """

    async def check(self, lease_id: str, request: LeaseRequest, timeout_seconds: float) -> None:
        """Return if *request*, which holds a lease and is under way, may go on as it is now.

        Nothing is reserved, and no key is handed over.

        Raises:
            ServiceError: The key service's refusal, never one of limits, or
                `KeyServiceUnavailableError`.
        """

    def settle(self, settlement: LeaseSettlement) -> None:
        """Report what became of a lease, some time soon. Does not wait and does not fail."""


class KeyOpener(Protocol):
    """The gateway's half of the dual control: opens sealed keys."""

    async def open(self, purpose: KeyPurpose, lease: Lease, timeout_seconds: float) -> SecretBytes:
        """Return the plaintext of the key that *purpose* names, by exactly one decrypt.

        Raises:
            SealedKeyUnusableError: What was leased does not open under that name.
            HandoffSpentError: The wrapped key was taken by somebody else.
            HandoffForgedError: What was handed over was not wrapped by the key service.
            LeaseExpiredError: The wrapped key's time is up.
            VaultUnavailableError: Vault cannot answer.
        """
