from __future__ import annotations

from dataclasses import replace

import pytest

from keyvault_svc.domain.errors import AppProofInvalidError, OwnerNotPresentError
from keyvault_svc.domain.lease import Proofs
from keyvault_svc.domain.lease_proofs import LeaseProver
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AppProof, OwnerProof
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_app_proof import FakeAppProof
from tests.fakes.fake_owner_proof import FakeOwnerProof
from tests.unit.keyvault_svc.samples import BILLING, SEARCH, make_request

APP_TOKEN = SecretBytes(b"header.canary-app.signature")
OWNER_TOKEN = SecretBytes(b"header.canary-owner.signature")
ALICE = Person("alice", frozenset({"payments"}))
BOTH = replace(make_request(), app_token=APP_TOKEN, owner_token=OWNER_TOKEN)


class _AwayIssuer:
    async def app_of(self, app_token: SecretBytes) -> SpiffeId:
        del app_token
        raise IssuerUnavailableError

    async def person_of(self, owner_token: SecretBytes) -> Person:
        del owner_token
        raise IssuerUnavailableError


def _prover(
    app_proof: AppProof | None = None, owner_proof: OwnerProof | None = None
) -> LeaseProver:
    return LeaseProver(
        app_proof or FakeAppProof(APP_TOKEN, BILLING),
        owner_proof or FakeOwnerProof(OWNER_TOKEN, ALICE),
    )


async def test_what_did_not_come_along_proves_nothing() -> None:
    assert await _prover().prove(make_request()) == Proofs(is_app_proven=False, person=None)


async def test_each_token_proves_what_it_is_of() -> None:
    prover = _prover()

    assert await prover.prove(BOTH) == Proofs(is_app_proven=True, person=ALICE)
    assert await prover.prove(replace(BOTH, owner_token=None)) == Proofs(is_app_proven=True)
    assert await prover.prove(replace(BOTH, app_token=None)) == Proofs(person=ALICE)


async def test_neither_token_stands_for_the_other() -> None:
    prover = _prover()

    with pytest.raises(AppProofInvalidError):
        await prover.prove(replace(BOTH, app_token=OWNER_TOKEN))
    with pytest.raises(OwnerNotPresentError):
        await prover.prove(replace(BOTH, owner_token=APP_TOKEN))


@pytest.mark.parametrize(
    "proof",
    [
        FakeAppProof(APP_TOKEN, SEARCH),
        FakeAppProof(SecretBytes(b"another"), BILLING),
        FakeAppProof(),
    ],
    ids=["another app", "another token", "nothing"],
)
async def test_a_token_that_does_not_prove_the_app_is_refused(proof: AppProof) -> None:
    with pytest.raises(AppProofInvalidError) as caught:
        await _prover(proof).prove(BOTH)

    assert caught.value.retry_after_seconds is None


async def test_an_id_token_that_proves_nobody_is_refused_even_where_none_is_needed() -> None:
    with pytest.raises(OwnerNotPresentError) as caught:
        await _prover(owner_proof=FakeOwnerProof()).prove(BOTH)

    # What the verifier found wrong stays there.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_an_issuer_that_is_away_is_an_outage_and_no_refusal() -> None:
    away = _AwayIssuer()

    for prover in (_prover(away), _prover(owner_proof=away)):
        with pytest.raises(IssuerUnavailableError):
            await prover.prove(BOTH)


async def test_an_issuer_that_nobody_needs_may_be_away() -> None:
    away = _AwayIssuer()

    assert await _prover(away, away).prove(make_request()) == Proofs()


def test_proofs_show_no_token() -> None:
    assert "canary" not in repr(BOTH)
