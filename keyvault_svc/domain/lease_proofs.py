"""What comes along with a request as proof, and is checked before anything is decided."""

from __future__ import annotations

from keyvault_svc.domain.errors import AppProofInvalidError, OwnerNotPresentError
from keyvault_svc.domain.lease import LeaseRequest, Proofs
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AppProof, OwnerProof
from svc_runtime.service_error import CallerUnverifiedError


class LeaseProver:
    """Checks proofs, so that no gateway has to be believed."""

    def __init__(self, app_proof: AppProof, owner_proof: OwnerProof) -> None:
        self._app_proof = app_proof
        self._owner_proof = owner_proof

    async def prove(self, request: LeaseRequest) -> Proofs:
        """Check the app's token and the owner's, as far as they came along.

        Raises:
            AppProofInvalidError: The app's token does not prove the app.
            OwnerNotPresentError: The ID token proves nobody.
            IssuerUnavailableError: An issuer's keys cannot be had.
        """
        is_app_proven = await self._is_app_proven(request)
        return Proofs(is_app_proven, await self._person_of(request))

    async def _is_app_proven(self, request: LeaseRequest) -> bool:
        if request.app_token is None:
            return False
        try:
            proven = await self._app_proof.app_of(request.app_token)
        except CallerUnverifiedError:
            proven = None
        if proven != request.app:
            raise AppProofInvalidError
        return True

    async def _person_of(self, request: LeaseRequest) -> Person | None:
        if request.owner_token is None:
            return None
        try:
            return await self._owner_proof.person_of(request.owner_token)
        except CallerUnverifiedError:
            pass
        raise OwnerNotPresentError
