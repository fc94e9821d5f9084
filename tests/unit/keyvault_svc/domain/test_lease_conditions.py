from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.errors import (
    AppProofRequiredError,
    EndpointNotGrantedError,
    GrantExpiredError,
    ModelNotGrantedError,
    OwnerNotPresentError,
    SuspendedError,
)
from keyvault_svc.domain.lease import Proofs
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.roles import RoleRules
from svc_runtime.service_error import ServiceError
from svc_runtime.spiffe_id import SpiffeId
from tests.unit.keyvault_svc.decisions import ALICE, NARROW, decided, stopped_by
from tests.unit.keyvault_svc.samples import (
    BILLING,
    KEY,
    SEARCH,
    make_grant,
    make_record,
    make_request,
    make_terms,
)


@pytest.mark.parametrize("stopped", [None, KEY, KEY.owner, BILLING], ids=str)
def test_a_stop_of_the_key_its_owner_the_app_or_everything_holds(
    stopped: KeyName | OwnerName | SpiffeId | None,
) -> None:
    with pytest.raises(SuspendedError):
        decided(make_record(make_grant(1)), make_request(), controls=stopped_by(stopped))


def test_a_stop_of_another_holds_for_nobody_else() -> None:
    grant = make_grant(1)
    others = stopped_by(
        SEARCH, OwnerName.parse("users/bob", "name"), KeyName.parse(f"{KEY.owner}/keys/b", "name")
    )

    assert decided(make_record(grant), make_request(), controls=others) == grant


def test_a_deployment_may_need_the_apps_token_whatever_the_grant_says() -> None:
    grant = make_grant(1)
    record = make_record(grant)

    with pytest.raises(AppProofRequiredError):
        decided(record, make_request(), proofs=Proofs(), needs_app_proof=True)

    assert decided(record, make_request(), needs_app_proof=True) == grant
    assert decided(record, make_request(), proofs=Proofs()) == grant


def test_an_unproven_app_does_not_learn_what_the_grant_covers() -> None:
    request = make_request(endpoint="embeddings", model="o1", source_ip="192.0.2.1")

    with pytest.raises(AppProofRequiredError):
        decided(make_record(make_grant(1, NARROW)), request, proofs=Proofs(), needs_app_proof=True)


PAYMENTS = OwnerName.parse("teams/payments", "name")


@pytest.mark.parametrize(
    ("owner", "person", "is_present"),
    [
        (KEY.owner, ALICE, True),
        (KEY.owner, Person("bob"), False),
        (KEY.owner, Person("bob", frozenset({"alice"})), False),
        (PAYMENTS, Person("bob", frozenset({"payments"})), True),
        (PAYMENTS, Person("bob", frozenset({"payments-admins"})), True),
        (PAYMENTS, Person("payments"), False),
        (PAYMENTS, Person("bob", frozenset({"search"})), False),
        (
            KEY.owner,
            Person("olga", frozenset({"sre"}), RoleRules(auditor_groups=frozenset({"sre"}))),
            False,
        ),
        (
            KEY.owner,
            Person("olga", frozenset({"sre"}), RoleRules(operator_groups=frozenset({"sre"}))),
            False,
        ),
    ],
    ids=range(9),
)
def test_the_owner_and_who_belongs_to_the_owning_team_are_present(
    owner: OwnerName, person: Person, *, is_present: bool
) -> None:
    key = KeyName(owner, KEY.key_id)
    grant = make_grant(1, replace(make_terms(), needs_owner_presence=True))
    record = make_record(grant, name=key)
    proofs = Proofs(is_app_proven=False, person=person)

    if is_present:
        assert decided(record, make_request(key=key), proofs=proofs) == grant
    else:
        with pytest.raises(OwnerNotPresentError):
            decided(record, make_request(key=key), proofs=proofs)


def test_who_comes_along_does_not_matter_to_a_grant_that_needs_no_presence() -> None:
    grant = make_grant(1)
    proofs = Proofs(is_app_proven=False, person=Person("mallory"))

    assert decided(make_record(grant), make_request(), proofs=proofs) == grant


@pytest.mark.parametrize(
    ("ceilings", "error"),
    [
        (Ceilings(max_lifetime=timedelta(hours=1)), GrantExpiredError),
        (Ceilings(endpoints=("embeddings",)), EndpointNotGrantedError),
        (Ceilings(models=("o1*",)), ModelNotGrantedError),
    ],
    ids=["lifetime", "endpoints", "models"],
)
def test_a_grant_from_before_a_ceiling_allows_no_more_than_it(
    ceilings: Ceilings, error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        decided(make_record(make_grant(1)), make_request(), ceilings=ceilings)


def test_the_limits_of_a_grant_are_those_that_the_ceilings_leave() -> None:
    grant = make_grant(1, make_terms(limits=Limits(requests_per_minute=9, tokens_per_day=5)))
    ceilings = Ceilings(limits=Limits(requests_per_minute=3, tokens_per_day=7))

    allowed = decided(make_record(grant), make_request(), ceilings=ceilings)

    assert allowed.terms.limits == Limits(requests_per_minute=3, tokens_per_day=5)
