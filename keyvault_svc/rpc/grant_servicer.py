"""Serves GrantService."""

from __future__ import annotations

from keyturn.keyvault.v1 import grant_service_pb2 as grant_service_pb
from keyturn.keyvault.v1.grant_service_pb2_grpc import GrantServiceServicer
from keyvault_svc.domain.consent import KeyConsent
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.rpc.grant_messages import grant_message, grant_terms
from keyvault_svc.rpc.key_messages import calling_person
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call


class GrantServicer(GrantServiceServicer):
    """GrantService over `KeyConsent`."""

    def __init__(self, consent: KeyConsent) -> None:
        self._consent = consent

    async def CreateGrant(
        self, request: grant_service_pb.CreateGrantRequest, context: ServicerContext
    ) -> grant_service_pb.CreateGrantResponse:
        """Record a consent."""
        del context
        name = KeyName.parse(request.parent, "parent")
        annotate(key=str(name))
        terms = grant_terms(request.grant)
        grant = await self._consent.create_grant(
            calling_person(), name, terms, current_call().request_id
        )
        annotate(grant=str(GrantName(name, grant.grant_id)), app=str(terms.app))
        return grant_service_pb.CreateGrantResponse(grant=grant_message(name, grant))

    async def ListGrants(
        self, request: grant_service_pb.ListGrantsRequest, context: ServicerContext
    ) -> grant_service_pb.ListGrantsResponse:
        """List a key's grants."""
        del context
        name = KeyName.parse(request.parent, "parent")
        annotate(key=str(name))
        grants = await self._consent.list_grants(calling_person(), name, current_call().request_id)
        return grant_service_pb.ListGrantsResponse(
            grants=[grant_message(name, grant) for grant in grants]
        )

    async def RevokeGrant(
        self, request: grant_service_pb.RevokeGrantRequest, context: ServicerContext
    ) -> grant_service_pb.RevokeGrantResponse:
        """Withdraw a consent."""
        del context
        name = GrantName.parse(request.name, "name")
        annotate(key=str(name.key), grant=str(name))
        grant = await self._consent.revoke_grant(calling_person(), name, current_call().request_id)
        annotate(app=str(grant.terms.app))
        return grant_service_pb.RevokeGrantResponse(grant=grant_message(name.key, grant))
