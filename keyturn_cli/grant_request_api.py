"""What people do with requests for grants, as calls that raise `CommandError`."""

from __future__ import annotations

from collections.abc import Sequence

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn.keyvault.v1.grant_request_service_pb2_grpc import GrantRequestServiceStub
from keyturn_cli.owner_api import OwnerAPI


class GrantRequestAPI:
    """The calls about requests for grants, over the connection of an `OwnerAPI`."""

    def __init__(self, api: OwnerAPI) -> None:
        self._api = api
        self._requests = GrantRequestServiceStub(api.channel)

    async def ask(self, key: str, grant: grant_pb.Grant, reason: str) -> request_pb.GrantRequest:
        """Ask the owner of *key* for *grant*, and return the request."""
        request = request_pb.CreateGrantRequestRequest(
            parent=key, grant_request=request_pb.GrantRequest(grant=grant, reason=reason)
        )
        answer: request_pb.CreateGrantRequestResponse = await self._api.send(
            self._requests.CreateGrantRequest, request
        )
        return answer.grant_request

    async def get(self, name: str) -> request_pb.GrantRequest:
        """Return one request."""
        answer: request_pb.GetGrantRequestResponse = await self._api.send(
            self._requests.GetGrantRequest, request_pb.GetGrantRequestRequest(name=name)
        )
        return answer.grant_request

    async def list_requests(self, owner: str) -> Sequence[request_pb.GrantRequest]:
        """Return an owner's requests, the oldest first."""
        answer: request_pb.ListGrantRequestsResponse = await self._api.send(
            self._requests.ListGrantRequests, request_pb.ListGrantRequestsRequest(parent=owner)
        )
        return answer.grant_requests

    async def approve(
        self, name: str, grant: grant_pb.Grant | None, consent_text_version: str, answer: str
    ) -> grant_pb.Grant:
        """Make the grant that is asked for, or *grant* in its place, and return it."""
        request = request_pb.ApproveGrantRequestRequest(
            name=name, grant=grant, consent_text_version=consent_text_version, answer=answer
        )
        response: request_pb.ApproveGrantRequestResponse = await self._api.send(
            self._requests.ApproveGrantRequest, request
        )
        return response.grant

    async def decline(self, name: str, answer: str) -> request_pb.GrantRequest:
        """Decline a request and return it."""
        response: request_pb.DeclineGrantRequestResponse = await self._api.send(
            self._requests.DeclineGrantRequest,
            request_pb.DeclineGrantRequestRequest(name=name, answer=answer),
        )
        return response.grant_request
