"""What owners agree to, and requests for grants, as a fake: it answers from memory."""

# ruff: noqa: N802 - the names of RPC methods are fixed by the proto

from __future__ import annotations

import grpc

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn.keyvault.v1 import grant_request_service_pb2_grpc as requests_grpc
from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from keyvault_svc.domain.errors import ConsentTextOutdatedError
from tests.component.fake_owner_port import START, FakeOwnerPort

VERSION = "2027-01"
TEXT = "You let an app use your key.\nIt never gets the key itself."


class FakeGrantPort(FakeOwnerPort, requests_grpc.GrantRequestServiceServicer):
    """Grants need an agreement to `VERSION`; so does every change, where `is_widening`.

    Attributes:
        is_widening: Whether changes of grants count as widening.
        updates: The changes of grants that came.
        requests: The requests for grants.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_widening = False
        self.updates: list[grants_pb.UpdateGrantRequest] = []
        self.requests: dict[str, request_pb.GrantRequest] = {}

    def GetConsentText(
        self, request: grants_pb.GetConsentTextRequest, context: grpc.ServicerContext
    ) -> grants_pb.GetConsentTextResponse:
        self.enter(request, context)
        return grants_pb.GetConsentTextResponse(version=VERSION, text=TEXT)

    def CreateGrant(
        self, request: grants_pb.CreateGrantRequest, context: grpc.ServicerContext
    ) -> grants_pb.CreateGrantResponse:
        self.enter(request, context)
        self._must_agree(request.consent_text_version, context)
        return grants_pb.CreateGrantResponse(grant=self._grant(request.parent, request.grant))

    def UpdateGrant(
        self, request: grants_pb.UpdateGrantRequest, context: grpc.ServicerContext
    ) -> grants_pb.UpdateGrantResponse:
        self.enter(request, context)
        if self.is_widening:
            self._must_agree(request.consent_text_version, context)
        self.updates.append(request)
        return grants_pb.UpdateGrantResponse(grant=request.grant)

    def CreateGrantRequest(
        self, request: request_pb.CreateGrantRequestRequest, context: grpc.ServicerContext
    ) -> request_pb.CreateGrantRequestResponse:
        self.enter(request, context)
        asked = request.grant_request
        asked.name = f"{request.parent}/grantRequests/0123456789abcdef"
        asked.requester = "dev"
        asked.state = request_pb.GRANT_REQUEST_STATE_OPEN
        asked.create_time.FromDatetime(START)
        self.requests[asked.name] = asked
        return request_pb.CreateGrantRequestResponse(grant_request=asked)

    def GetGrantRequest(
        self, request: request_pb.GetGrantRequestRequest, context: grpc.ServicerContext
    ) -> request_pb.GetGrantRequestResponse:
        self.enter(request, context)
        return request_pb.GetGrantRequestResponse(grant_request=self.requests[request.name])

    def ListGrantRequests(
        self, request: request_pb.ListGrantRequestsRequest, context: grpc.ServicerContext
    ) -> request_pb.ListGrantRequestsResponse:
        self.enter(request, context)
        return request_pb.ListGrantRequestsResponse(grant_requests=self.requests.values())

    def ApproveGrantRequest(
        self, request: request_pb.ApproveGrantRequestRequest, context: grpc.ServicerContext
    ) -> request_pb.ApproveGrantRequestResponse:
        self.enter(request, context)
        self._must_agree(request.consent_text_version, context)
        asked = self.requests[request.name]
        terms = request.grant if request.HasField("grant") else asked.grant
        grant = self._grant(request.name.partition("/grantRequests/")[0], terms)
        self._decide(asked, request_pb.GRANT_REQUEST_STATE_APPROVED, request.answer)
        asked.granted = grant.name
        return request_pb.ApproveGrantRequestResponse(grant=grant)

    def DeclineGrantRequest(
        self, request: request_pb.DeclineGrantRequestRequest, context: grpc.ServicerContext
    ) -> request_pb.DeclineGrantRequestResponse:
        self.enter(request, context)
        asked = self.requests[request.name]
        self._decide(asked, request_pb.GRANT_REQUEST_STATE_DECLINED, request.answer)
        return request_pb.DeclineGrantRequestResponse(grant_request=asked)

    def _must_agree(self, version: str, context: grpc.ServicerContext) -> None:
        if version != VERSION:
            outdated = ConsentTextOutdatedError(current_version=VERSION)
            self.refuse(context, outdated, grpc.StatusCode.FAILED_PRECONDITION)

    def _grant(self, key: str, terms: grant_pb.Grant) -> grant_pb.Grant:
        grant = grant_pb.Grant()
        grant.CopyFrom(terms)
        grant.name = f"{key}/grants/0123456789abcdef"
        self.grants.append(grant)
        return grant

    @staticmethod
    def _decide(
        asked: request_pb.GrantRequest,
        state: request_pb.GrantRequestState.ValueType,
        answer: str,
    ) -> None:
        asked.state = state
        asked.decider = "alice"
        asked.answer = answer
        asked.decide_time.FromDatetime(START)
