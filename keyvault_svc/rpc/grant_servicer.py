"""Serves GrantService."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keyturn.keyvault.v1 import grant_service_pb2 as grant_service_pb
from keyturn.keyvault.v1.grant_service_pb2_grpc import GrantServiceServicer
from keyvault_svc.domain.consent import KeyConsent
from keyvault_svc.domain.grant import Grant, parse_app
from keyvault_svc.domain.names import GrantName, KeyName, OwnerName
from keyvault_svc.domain.roles import Action
from keyvault_svc.rpc.grant_messages import change_of_terms, grant_message, grant_terms
from keyvault_svc.rpc.key_messages import calling_person
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call

_KEYS: Final = "/keys/"  # in the name of a key, and not in that of an owner


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
            calling_person(),
            name,
            terms,
            request.consent_text_version,
            current_call().request_id,
        )
        annotate(grant=str(GrantName(name, grant.grant_id)), app=str(terms.app))
        return grant_service_pb.CreateGrantResponse(grant=grant_message(name, grant))

    async def UpdateGrant(
        self, request: grant_service_pb.UpdateGrantRequest, context: ServicerContext
    ) -> grant_service_pb.UpdateGrantResponse:
        """Change a consent."""
        del context
        name = GrantName.parse(request.grant.name, "grant.name")
        annotate(key=str(name.key), grant=str(name))
        grant = await self._consent.update_grant(
            calling_person(),
            name,
            change_of_terms(request.grant, request.update_mask.paths),
            request.consent_text_version,
            current_call().request_id,
        )
        annotate(app=str(grant.terms.app))
        return grant_service_pb.UpdateGrantResponse(grant=grant_message(name.key, grant))

    async def GetConsentText(
        self, request: grant_service_pb.GetConsentTextRequest, context: ServicerContext
    ) -> grant_service_pb.GetConsentTextResponse:
        """Return what owners must agree to."""
        del request, context
        calling_person().must(Action.READ_CONSENT_TEXT)
        text = self._consent.text
        return grant_service_pb.GetConsentTextResponse(version=text.version, text=text.text)

    async def ListGrants(
        self, request: grant_service_pb.ListGrantsRequest, context: ServicerContext
    ) -> grant_service_pb.ListGrantsResponse:
        """List the grants on a key, or on all keys of an owner."""
        del context
        app = parse_app("app", request.app) if request.app else None
        grants = await self._listed(request.parent)
        return grant_service_pb.ListGrantsResponse(
            grants=[
                grant_message(name, grant)
                for name, grant in grants
                if app is None or grant.terms.app == app
            ]
        )

    async def _listed(self, unverified_parent: str) -> Sequence[tuple[KeyName, Grant]]:
        person, request_id = calling_person(), current_call().request_id
        if _KEYS not in unverified_parent:
            owner = OwnerName.parse(unverified_parent, "parent")
            annotate(owner=str(owner))
            return await self._consent.list_grants_of(person, owner, request_id)
        name = KeyName.parse(unverified_parent, "parent")
        annotate(key=str(name))
        grants = await self._consent.list_grants(person, name, request_id)
        return [(name, grant) for grant in grants]

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
