"""Leases: the right to use one key for one request, and the decision whether to give it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from keyvault_svc.domain.errors import (
    EndpointNotGrantedError,
    GrantExpiredError,
    GrantRevokedError,
    KeyDisabledError,
    KeyExpiredError,
    KeyPendingError,
    KeyRejectedError,
    ModelNotGrantedError,
    NotGrantedError,
    SourceNotGrantedError,
)
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.usage import Usage, UsageSource
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from svc_runtime.spiffe_id import SpiffeId

_SHA256_OF_NOTHING: Final = hashlib.sha256(b"").digest()  # the body of a request that has none


# Every state but that in which a key serves. A retiring version is never the current one.
_REFUSAL: Final[Mapping[KeyState, type[ServiceError]]] = {
    KeyState.PENDING: KeyPendingError,
    KeyState.RETIRING: KeyDisabledError,
    KeyState.DISABLED: KeyDisabledError,
    KeyState.REJECTED: KeyRejectedError,
    KeyState.EXPIRED: KeyExpiredError,
    KeyState.DELETED: NotGrantedError,
}


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """What a gateway asks for on an app's behalf.

    Attributes:
        method: HTTP method, or `WEBSOCKET`.
        endpoint: OpenAI path after `/v1/`, without query.
        model: The model named by the request; empty for none.
        body_sha256: SHA-256 of the request body; empty when nobody has seen its end yet.
        token_bound: The most tokens that the request can cost; 0 for not bounded.
        app_token: The app's own bearer token, if it sent one.
        more_models: Other models that it names, such as those of its tools.
    """

    request_id: str
    key: KeyName
    app: SpiffeId
    method: str
    endpoint: str
    model: str
    source_ip: IPv4Address | IPv6Address
    body_sha256: bytes
    token_bound: int
    app_token: SecretBytes | None = None
    more_models: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """All models that the request names; one empty text for a body that names none."""
        named = tuple(model for model in (self.model, *self.more_models) if model)
        return named or (("",) if self.body_sha256 != _SHA256_OF_NOTHING else ())


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use one key for one request.

    Attributes:
        grant_id: The grant that allowed it; empty for a lease to verify a key.
        expire_time: A key that was not opened by then must not be.
        ciphertext: The sealed key; only a gateway's Vault identity can open it. Empty when it is
            wrapped.
        wrapping_token: What Vault exchanges for the sealed key, once; None when it is inline.
        base_url: Where at OpenAI the key is used; empty for the gateway's default.
        may_choose_account: Whether the app may name OpenAI's organisation and project.
    """

    lease_id: str
    key: KeyName
    key_version: int
    grant_id: str
    expire_time: datetime
    ciphertext: str = field(repr=False)
    wrapping_token: SecretBytes | None = None
    base_url: str = ""
    may_choose_account: bool = False


class LeaseOutcome(StrEnum):
    """How a leased request ended."""

    SERVED = "served"
    KEY_REJECTED = "key_rejected"
    UPSTREAM_FAILED = "upstream_failed"
    CANCELLED = "cancelled"
    UNUSED = "unused"
    UNSETTLED = "unsettled"


@dataclass(frozen=True, slots=True)
class LeaseSettlement:
    """What became of one lease.

    Attributes:
        http_status: OpenAI's answer; 0 for none.
        body_sha256: Of a body that was streamed, once all of it had passed; else empty.
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

    @property
    def has_taken_something(self) -> bool:
        """Whether OpenAI may have done work that it has not told of."""
        return self.outcome is LeaseOutcome.CANCELLED or (
            self.outcome is LeaseOutcome.UPSTREAM_FAILED and self.http_status > 0
        )

    def completed(self, reservation: Usage) -> LeaseSettlement:
        """Return the settlement with what the lease was given for, where nothing better is known.

        Args:
            reservation: The bound of the request, and the model that it named.
        """
        usage = self.usage
        if usage.source is UsageSource.NONE and self.has_taken_something:
            usage = replace(reservation, subject=usage.subject, model=usage.model)
        if not usage.model:
            usage = replace(usage, model=reservation.model)
        return replace(self, usage=usage)


def decide(record: KeyRecord, request: LeaseRequest, now: datetime) -> Grant:
    """Decide whether *request* may use the key of *record*.

    The order is part of the contract: app, state of the key, expiry, source, endpoint, model. An
    app that never held a grant gets the answer that it would get if the key did not exist,
    whatever the key's state.

    Args:
        record: The record as it stands at *now*; see `KeyRecord.at`.
        request: What is asked for.
        now: The time.

    Returns:
        The grant that allows it.

    Raises:
        NotGrantedError: The app never held a grant on the key.
        KeyPendingError: The key has not been verified.
        KeyDisabledError: The key is switched off.
        KeyRejectedError: OpenAI refused the key.
        KeyExpiredError: The key's time is up.
        GrantRevokedError: The app's grant was withdrawn.
        GrantExpiredError: The app's grant has ended.
        SourceNotGrantedError: The grant does not cover the caller's network.
        EndpointNotGrantedError: The grant does not cover the endpoint.
        ModelNotGrantedError: The grant does not cover the model.
    """
    held = [grant for grant in record.grants if grant.terms.app == request.app]
    if not held:
        raise NotGrantedError
    refusal = _REFUSAL.get(record.state)
    if refusal is not None:
        raise refusal
    grant = _active_grant(held, now)
    if not grant.terms.allow_source(request.source_ip):
        raise SourceNotGrantedError
    if not grant.terms.allow_endpoint(request.endpoint):
        raise EndpointNotGrantedError
    if not all(grant.terms.allow_model(model, request.endpoint) for model in request.models):
        raise ModelNotGrantedError
    return grant


def _active_grant(held: Sequence[Grant], now: datetime) -> Grant:
    """Return the active one of an app's grants; a key has at most one per app."""
    for grant in held:
        if grant.is_active(now):
            return grant
    # Grants are kept in order of creation: the newest tells what happened last.
    if held[-1].revoke_time is not None:
        raise GrantRevokedError
    raise GrantExpiredError
