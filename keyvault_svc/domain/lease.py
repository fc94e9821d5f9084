"""Leases: the right to use one key for one request, and the decision whether to give it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.controls import Controls
from keyvault_svc.domain.errors import (
    AppProofRequiredError,
    EndpointNotGrantedError,
    GrantExpiredError,
    GrantRevokedError,
    KeyDisabledError,
    KeyExpiredError,
    KeyPendingError,
    KeyRejectedError,
    ModelNotGrantedError,
    NotGrantedError,
    OwnerNotPresentError,
    SourceNotGrantedError,
)
from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.roles import Role
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
        input_token_bound: The most tokens that the prompt can have; 0 for not bounded.
        output_token_bound: The most tokens that the answer can have; 0 for not bounded.
        app_token: The app's own bearer token, if it sent one.
        more_models: Other models that it names, such as those of its tools.
        owner_token: ID token of somebody who acts for the owner, if the app sent one.
        answer_count: How many answers it asks for.
        runs_tools: Whether OpenAI may run tools of its own, whose findings join the prompt.
    """

    request_id: str
    key: KeyName
    app: SpiffeId
    method: str
    endpoint: str
    model: str
    source_ip: IPv4Address | IPv6Address
    body_sha256: bytes
    input_token_bound: int
    output_token_bound: int
    app_token: SecretBytes | None = None
    more_models: tuple[str, ...] = ()
    owner_token: SecretBytes | None = None
    answer_count: int = 1
    runs_tools: bool = False

    @property
    def has_body(self) -> bool:
        """Whether there is a body, or may be one that nobody has seen yet."""
        return self.body_sha256 != _SHA256_OF_NOTHING

    @property
    def models(self) -> tuple[str, ...]:
        """All models that the request names; one empty text for a body that names none."""
        named = tuple(model for model in (self.model, *self.more_models) if model)
        return named or (("",) if self.has_body else ())


@dataclass(frozen=True, slots=True)
class Proofs:
    """What was proven to the key service itself.

    Attributes:
        is_app_proven: Whether the app's own token proves the app.
        person: Whom the ID token that came along proves; None for nobody.
    """

    is_app_proven: bool = False
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of the tightest limit of each sort; None for no limit.

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
        grant_id: The grant that allowed it; empty for a lease to verify a key.
        expire_time: A key that was not opened by then must not be.
        ciphertext: The sealed key; only a gateway's Vault identity can open it. Empty when it is
            wrapped.
        wrapping_token: What Vault exchanges for the sealed key, once; None when it is inline.
        base_url: Where at OpenAI the key is used; empty for the gateway's default.
        may_choose_account: Whether the app may name OpenAI's organisation and project.
        remaining: What the limits leave after this request.
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
    remaining: Remaining = field(default_factory=Remaining)


def decide(
    record: KeyRecord,
    request: LeaseRequest,
    now: datetime,
    *,
    proofs: Proofs,
    controls: Controls,
    ceilings: Ceilings,
    needs_app_proof: bool = False,
) -> Grant:
    """Decide whether *request* may use the key of *record*.

    The order is part of the contract: app, suspension, state of the key, end of the grant, the
    app's proof, source, endpoint, model, the owner's presence. An app that never held a grant gets
    the answer that it would get if the key did not exist, whatever the key's state.

    Args:
        record: The record as it stands at *now*; see `KeyRecord.at`.
        request: What is asked for.
        now: The time.
        proofs: What was proven beside what the gateway says.
        controls: What operators decided.
        ceilings: What the deployment bounds every grant by.
        needs_app_proof: Whether the deployment needs the app's own token, whatever the grant says.

    Returns:
        The grant that allows it, within the ceilings.

    Raises:
        NotGrantedError: The app never held a grant on the key.
        SuspendedError: Operators stopped this use.
        KeyPendingError: The key has not been verified.
        KeyDisabledError: The key is switched off.
        KeyRejectedError: OpenAI refused the key.
        KeyExpiredError: The key's time is up.
        GrantRevokedError: The app's grant was withdrawn.
        GrantExpiredError: The app's grant has ended.
        SourceNotGrantedError: The grant does not cover the caller's network.
        EndpointNotGrantedError: The grant does not cover the endpoint.
        ModelNotGrantedError: The grant does not cover the model.
        AppProofRequiredError: The grant or the deployment needs the app's own token.
        OwnerNotPresentError: The grant needs the owner's presence.
    """
    held = [ceilings.bounded(g) for g in record.grants if g.terms.app == request.app]
    if not held:
        raise NotGrantedError
    controls.must_allow(record.name, request.app)
    must_serve(record)
    grant = _active_grant(held, now)
    if (needs_app_proof or grant.terms.needs_app_proof) and not proofs.is_app_proven:
        raise AppProofRequiredError
    _must_cover(grant.terms, ceilings.around(grant.terms), request)
    if grant.terms.needs_owner_presence and not _is_present(record.name.owner, proofs.person):
        raise OwnerNotPresentError
    return grant


def must_serve(record: KeyRecord) -> None:
    """Return if the key of *record* serves, as it stands now.

    Raises:
        ServiceError: It does not; which one says why.
    """
    refusal = _REFUSAL.get(record.state)
    if refusal is not None:
        raise refusal


def _must_cover(terms: GrantTerms, around: GrantTerms, request: LeaseRequest) -> None:
    """Return if *terms*, and what is *around* them, cover *request*."""
    if not terms.allow_source(request.source_ip):
        raise SourceNotGrantedError
    both = (terms, around)
    if not all(terms.allow_endpoint(request.endpoint) for terms in both):
        raise EndpointNotGrantedError
    for model in request.models:
        if not all(terms.allow_model(model, request.endpoint) for terms in both):
            raise ModelNotGrantedError


def _is_present(owner: OwnerName, person: Person | None) -> bool:
    if person is None:
        return False
    return not person.roles_for(owner).isdisjoint({Role.OWNER, Role.TEAM_ADMIN, Role.TEAM_MEMBER})


def _active_grant(held: Sequence[Grant], now: datetime) -> Grant:
    """Return the active one of an app's grants; a key has at most one per app."""
    for grant in held:
        if grant.is_active(now):
            return grant
    # Grants are kept in order of creation: the newest tells what happened last.
    if held[-1].revoke_time is not None:
        raise GrantRevokedError
    raise GrantExpiredError
