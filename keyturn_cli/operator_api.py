"""What an operator can do at the key service, as calls that raise `CommandError`."""

from __future__ import annotations

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import operator_service_pb2 as operators_pb
from keyturn.keyvault.v1.operator_service_pb2_grpc import OperatorServiceStub
from keyturn_cli.owner_api import OwnerAPI


class OperatorAPI:
    """The operators' calls, over the connection of an `OwnerAPI` and as its person."""

    def __init__(self, api: OwnerAPI) -> None:
        self._api = api
        self._operators = OperatorServiceStub(api.channel)

    async def suspend(self, subject: str, reason: str) -> operators_pb.Suspension:
        """Stop *subject*, and return the stop that holds."""
        suspension = operators_pb.Suspension(subject=subject, reason=reason)
        request = operators_pb.SuspendRequest(suspension=suspension)
        answer: operators_pb.SuspendResponse = await self._api.send(
            self._operators.Suspend, request
        )
        return answer.suspension

    async def resume(self, subject: str) -> bool:
        """Let *subject* go on, and return whether it was stopped."""
        request = operators_pb.ResumeRequest(subject=subject)
        answer: operators_pb.ResumeResponse = await self._api.send(self._operators.Resume, request)
        return answer.was_suspended

    async def controls(self) -> operators_pb.GetControlsResponse:
        """Return everything that holds."""
        request = operators_pb.GetControlsRequest()
        answer: operators_pb.GetControlsResponse = await self._api.send(
            self._operators.GetControls, request
        )
        return answer

    async def set_owner_limits(
        self, owner: str, limits: limits_pb.Limits | None
    ) -> operators_pb.OwnerLimits:
        """Give *owner* limits of its own, the deployment's for None; return those that hold."""
        request = operators_pb.SetOwnerLimitsRequest(
            owner_limits=operators_pb.OwnerLimits(owner=owner, limits=limits)
        )
        answer: operators_pb.SetOwnerLimitsResponse = await self._api.send(
            self._operators.SetOwnerLimits, request
        )
        return answer.owner_limits
