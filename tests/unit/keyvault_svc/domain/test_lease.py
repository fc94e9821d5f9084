from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

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
    SuspendedError,
)
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.lease import Lease, LeaseRequest, Proofs
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.decisions import ALICE, NARROW, decided, stopped_by
from tests.unit.keyvault_svc.samples import (
    BILLING,
    CIPHERTEXT,
    KEY,
    SEARCH,
    make_grant,
    make_record,
    make_request,
    make_terms,
)

STRICT = replace(NARROW, needs_app_proof=True, needs_owner_presence=True)
REVOKED = make_grant(1, NARROW, revoke_time=START - timedelta(minutes=1))
EXPIRED = make_grant(1, make_terms(expire_time=START))


def _request(faults: Collection[str]) -> LeaseRequest:
    """Return a request that `NARROW` covers, but for *faults*."""
    return make_request(
        app=SEARCH if "app" in faults else BILLING,
        source_ip="192.0.2.1" if "source" in faults else "10.1.2.3",
        endpoint="embeddings" if "endpoint" in faults else "chat/completions",
        model="o1" if "model" in faults else "gpt-4o",
    )


def test_a_request_within_the_grant_is_allowed_by_it() -> None:
    grant = make_grant(1, STRICT)

    assert decided(make_record(grant), _request(())) == grant


# The order is part of the contract: the earliest fault in this list is the one that is told.
ORDER: list[tuple[str, type[ServiceError]]] = [
    ("app", NotGrantedError),
    ("suspension", SuspendedError),
    ("state", KeyDisabledError),
    ("grant", GrantRevokedError),
    ("proof", AppProofRequiredError),
    ("source", SourceNotGrantedError),
    ("endpoint", EndpointNotGrantedError),
    ("model", ModelNotGrantedError),
    ("presence", OwnerNotPresentError),
]
FAULTS = [
    (faults, next(error for fault, error in ORDER if fault in faults))
    for count in range(1, len(ORDER) + 1)
    for faults in itertools.combinations([fault for fault, _ in ORDER], count)
]


@pytest.mark.parametrize(("faults", "error"), FAULTS, ids=str)
def test_the_first_fault_in_order_is_told(
    faults: tuple[str, ...], error: type[ServiceError]
) -> None:
    grant = make_grant(1, STRICT, revoke_time=START if "grant" in faults else None)
    state = KeyState.DISABLED if "state" in faults else KeyState.ACTIVE

    with pytest.raises(ServiceError) as caught:
        decided(
            make_record(grant, state=state),
            _request(faults),
            proofs=Proofs("proof" not in faults, None if "presence" in faults else ALICE),
            controls=stopped_by(None) if "suspension" in faults else None,
        )

    assert type(caught.value) is error


REFUSALS: dict[KeyState, type[ServiceError]] = {
    KeyState.PENDING: KeyPendingError,
    KeyState.RETIRING: KeyDisabledError,
    KeyState.DISABLED: KeyDisabledError,
    KeyState.REJECTED: KeyRejectedError,
    KeyState.EXPIRED: KeyExpiredError,
    KeyState.DELETED: NotGrantedError,
}


def test_an_active_key_alone_serves() -> None:
    assert set(REFUSALS) == set(KeyState) - {KeyState.ACTIVE}


@pytest.mark.parametrize("grant", [make_grant(1, NARROW), REVOKED, EXPIRED])
@pytest.mark.parametrize("state", REFUSALS)
def test_the_state_of_the_key_is_told_before_what_is_wrong_with_the_request(
    state: KeyState, grant: Grant
) -> None:
    record = make_record(grant, state=state)

    with pytest.raises(ServiceError) as caught:
        decided(record, _request(("source", "endpoint", "model")))

    assert type(caught.value) is REFUSALS[state]


@pytest.mark.parametrize("state", KeyState)
def test_an_app_that_never_held_a_grant_does_not_learn_the_state_of_the_key(
    state: KeyState,
) -> None:
    record = make_record(make_grant(1, make_terms(SEARCH)), state=state)

    with pytest.raises(NotGrantedError):
        decided(record, make_request())


@pytest.mark.parametrize(
    ("grants", "error"),
    [
        ([REVOKED], GrantRevokedError),
        ([EXPIRED], GrantExpiredError),
        ([EXPIRED, REVOKED], GrantRevokedError),
        ([REVOKED, EXPIRED], GrantExpiredError),
        ([], NotGrantedError),
        ([make_grant(1, make_terms(SEARCH))], NotGrantedError),
    ],
    ids=["revoked", "expired", "revoked last", "expired last", "none", "of another app"],
)
def test_how_the_newest_grant_ended_is_told_before_any_other_fault(
    grants: list[Grant], error: type[ServiceError]
) -> None:
    request = _request(("source", "endpoint", "model"))

    with pytest.raises(ServiceError) as caught:
        decided(make_record(*grants), request)

    assert type(caught.value) is error


@pytest.mark.parametrize("ended", [REVOKED, EXPIRED], ids=["revoked", "expired"])
def test_an_active_grant_counts_beside_an_ended_one(ended: Grant) -> None:
    active = make_grant(2, NARROW)

    assert decided(make_record(ended, active), _request(())) == active


def test_a_grant_holds_until_the_moment_of_its_expiry() -> None:
    grant = make_grant(1, make_terms(expire_time=START))
    record = make_record(grant)

    assert decided(record, make_request(), START - timedelta(microseconds=1)) == grant
    with pytest.raises(GrantExpiredError):
        decided(record, make_request())


def test_a_lease_shows_neither_its_ciphertext_nor_its_token() -> None:
    token = SecretBytes(b"canarytoken")
    lease = Lease("0" * 32, KEY, 1, "1" * 16, START, CIPHERTEXT, token)

    assert "canary" not in repr(lease)


def _decision(**changes: Any) -> bool:  # noqa: ANN401 - any field of a request
    request = replace(_request(()), **changes)
    terms = replace(NARROW, endpoints=("*",))
    try:
        decided(make_record(make_grant(1, terms)), request)
    except ModelNotGrantedError:
        return False
    return True


@pytest.mark.parametrize(
    ("more_models", "is_allowed"), [((), True), (("gpt-4o",), True), (("gpt-4o", "o1"), False)]
)
def test_each_model_that_a_request_names_must_be_granted(
    more_models: tuple[str, ...], *, is_allowed: bool
) -> None:
    assert _decision(more_models=more_models) is is_allowed


def test_a_body_that_names_no_model_runs_none_under_a_limit_of_models() -> None:
    assert not _decision(model="", endpoint="endpoints-of-tomorrow")
    assert not _decision(model="", endpoint="responses")
    assert _decision(model="", endpoint="files")


def test_a_request_without_a_body_is_bound_by_its_endpoint_alone() -> None:
    nothing = hashlib.sha256(b"").digest()

    assert _decision(model="", endpoint="batches/batch_1", body_sha256=nothing)
