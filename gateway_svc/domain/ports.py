"""What the relay needs from the outside, as contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.headers import Headers
from gateway_svc.domain.key_name import KeyName
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """What the key service is told of a call; see `AcquireLeaseRequest` of the contract."""

    request_id: str
    key: KeyName
    app: SpiffeId
    endpoint: str
    model: str
    source_ip: str
    body_sha256: bytes
    token_bound: int
    app_token: SecretBytes | None
    more_models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use one key for one request.

    Attributes:
        grant: The grant that allowed it; empty for a lease to verify a key.
        expire_time: A key that was not opened by then must not be.
        ciphertext: The key as Vault's transit engine sealed it; empty when it is wrapped.
        wrapping_token: What Vault exchanges for the ciphertext, once; None when it is inline.
    """

    lease_id: str
    key_version: int
    grant: str
    expire_time: datetime
    ciphertext: str = field(repr=False)
    wrapping_token: SecretBytes | None = None


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
    """What became of a lease; see `LeaseSettlement` of the contract."""

    lease_id: str
    request_id: str
    key: str
    grant: str
    app: str
    outcome: LeaseOutcome
    input_tokens: int = 0
    output_tokens: int = 0
    http_status: int = 0
    openai_request_id: str = ""


class KeyLeaser(Protocol):
    """The key service."""

    async def acquire(self, request: LeaseRequest, timeout_seconds: float) -> Lease:
        """Return a lease for one request.

        Raises:
            ServiceError: The key service's refusal, or `KeyServiceUnavailableError`.
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


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request to OpenAI, without its credential."""

    method: str
    endpoint: Endpoint
    query: str
    headers: Headers
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """OpenAI's answer, as far as it has come.

    Attributes:
        headers: All of them, as they came.
        body: The pieces of the body as they come. Raises `UpstreamUnavailableError` or
            `UpstreamTimedOutError` when it breaks off.
    """

    status: int
    headers: Headers
    body: AsyncIterator[bytes] = field(repr=False)


class Upstream(Protocol):
    """OpenAI."""

    def send(
        self, request: UpstreamRequest, api_key: SecretBytes, timeout_seconds: float
    ) -> AbstractAsyncContextManager[UpstreamAnswer]:
        """Send *request* with *api_key* and enter with the head of the answer.

        The plaintext is kept no longer than until the request's headers are written. Leaving the
        context before the body's end closes the connection.

        Raises:
            UpstreamUnavailableError: OpenAI cannot be reached.
            UpstreamTimedOutError: It did not answer within *timeout_seconds*.
        """
