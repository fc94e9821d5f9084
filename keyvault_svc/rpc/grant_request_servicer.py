"""Serves GrantRequestService."""

from __future__ import annotations

from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn.keyvault.v1.grant_request_service_pb2_grpc import GrantRequestServiceServicer
from keyvault_svc.domain.asking import GrantAsking
from keyvault_svc.domain.names import GrantName, GrantRequestName, KeyName, OwnerName
from keyvault_svc.rpc.grant_messages import grant_message, grant_terms
from keyvault_svc.rpc.grant_request_messages import grant_request_message
from keyvault_svc.rpc.key_messages import calling_person
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call


class GrantRequestServicer(GrantRequestServiceServicer):
    """GrantRequestService over `GrantAsking`."""

    def __init__(self, asking: GrantAsking) -> None:
        self._asking = asking

    async def CreateGrantRequest(
        self, request: request_pb.CreateGrantRequestRequest, context: ServicerContext
    ) -> request_pb.CreateGrantRequestResponse:
        """Ask an owner for a grant."""
        del context
        key = KeyName.parse(request.parent, "parent")
        annotate(key=str(key))
        terms = grant_terms(request.grant_request.grant)
        annotate(app=str(terms.app))
        asked = await self._asking.ask(
            calling_person(), key, terms, request.grant_request.reason, current_call().request_id
        )
        return request_pb.CreateGrantRequestResponse(grant_request=grant_request_message(asked))

    async def GetGrantRequest(
        self, request: request_pb.GetGrantRequestRequest, context: ServicerContext
    ) -> request_pb.GetGrantRequestResponse:
        """Return one request."""
        del context
        name = _request_name(request.name)
        asked = await self._asking.get(calling_person(), name, current_call().request_id)
        return request_pb.GetGrantRequestResponse(grant_request=grant_request_message(asked))

    async def ListGrantRequests(
        self, request: request_pb.ListGrantRequestsRequest, context: ServicerContext
    ) -> request_pb.ListGrantRequestsResponse:
        """List an owner's requests."""
        del context
        owner = OwnerName.parse(request.parent, "parent")
        annotate(owner=str(owner))
        asked = await self._asking.list_requests(calling_person(), owner, current_call().request_id)
        return request_pb.ListGrantRequestsResponse(
            grant_requests=[grant_request_message(one) for one in asked]
        )

    async def ApproveGrantRequest(
        self, request: request_pb.ApproveGrantRequestRequest, context: ServicerContext
    ) -> request_pb.ApproveGrantRequestResponse:
        """Make the grant that is asked for."""
        del context
        name = _request_name(request.name)
        grant = await self._asking.approve(
            calling_person(),
            name,
            grant_terms(request.grant) if request.HasField("grant") else None,
            request.consent_text_version,
            request.answer,
            current_call().request_id,
        )
        annotate(grant=str(GrantName(name.key, grant.grant_id)), app=str(grant.terms.app))
        return request_pb.ApproveGrantRequestResponse(grant=grant_message(name.key, grant))

    async def DeclineGrantRequest(
        self, request: request_pb.DeclineGrantRequestRequest, context: ServicerContext
    ) -> request_pb.DeclineGrantRequestResponse:
        """Decline a request."""
        del context
        declined = await self._asking.decline(
            calling_person(),
            _request_name(request.name),
            request.answer,
            current_call().request_id,
        )
        return request_pb.DeclineGrantRequestResponse(grant_request=grant_request_message(declined))


def _request_name(unverified: str) -> GrantRequestName:
    name = GrantRequestName.parse(unverified, "name")
    annotate(key=str(name.key))
    return name
