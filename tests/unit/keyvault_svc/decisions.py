"""Decisions on requests, for tests that look at one thing about them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.lease import LeaseRequest, Proofs, decide
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.person import Person
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import make_terms

ALICE: Final = Person("alice")
PROVEN: Final = Proofs(is_app_proven=True, person=ALICE)
NARROW: Final = make_terms(
    models=("gpt-4o",), endpoints=("chat/completions",), source_cidrs=("10.1.0.0/16",)
)


def stopped_by(*stopped: KeyName | OwnerName | SpiffeId | None) -> Controls:
    """Return controls that stop each of *stopped*; None stops everything."""
    controls = Controls()
    for subject in stopped:
        suspension = Suspension(Subject(subject), "An incident.", "olga", START)
        controls = controls.with_suspension(suspension)
    return controls


def decided(
    record: KeyRecord,
    request: LeaseRequest,
    now: datetime = START,
    *,
    proofs: Proofs = PROVEN,
    controls: Controls | None = None,
    ceilings: Ceilings | None = None,
    needs_app_proof: bool = False,
) -> Grant:
    """Decide on *request* where everything is proven and nothing is stopped, unless told."""
    return decide(
        record,
        request,
        now,
        proofs=proofs,
        controls=controls or Controls(),
        ceilings=ceilings or Ceilings(),
        needs_app_proof=needs_app_proof,
    )
