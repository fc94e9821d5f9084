"""Serves OperatorService."""

from __future__ import annotations

from keyturn.keyvault.v1 import operator_service_pb2 as operator_pb
from keyturn.keyvault.v1.operator_service_pb2_grpc import OperatorServiceServicer
from keyvault_svc.domain.controls import Subject
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.domain.operating import Operating
from keyvault_svc.rpc.key_messages import calling_person
from keyvault_svc.rpc.operator_messages import (
    controls_message,
    optional_limits,
    owner_limits_message,
    suspension_message,
)
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call


class OperatorServicer(OperatorServiceServicer):
    """OperatorService over `Operating`."""

    def __init__(self, operating: Operating) -> None:
        self._operating = operating

    async def Suspend(
        self, request: operator_pb.SuspendRequest, context: ServicerContext
    ) -> operator_pb.SuspendResponse:
        """Stop something."""
        del context
        subject = Subject.parse(request.suspension.subject, "suspension.subject")
        annotate(**subject.fields())
        suspension = await self._operating.suspend(
            calling_person(), subject, request.suspension.reason, current_call().request_id
        )
        return operator_pb.SuspendResponse(suspension=suspension_message(suspension))

    async def Resume(
        self, request: operator_pb.ResumeRequest, context: ServicerContext
    ) -> operator_pb.ResumeResponse:
        """End a stop."""
        del context
        subject = Subject.parse(request.subject, "subject")
        annotate(**subject.fields())
        was_suspended = await self._operating.resume(
            calling_person(), subject, current_call().request_id
        )
        return operator_pb.ResumeResponse(was_suspended=was_suspended)

    async def GetControls(
        self, request: operator_pb.GetControlsRequest, context: ServicerContext
    ) -> operator_pb.GetControlsResponse:
        """Tell what holds."""
        del request, context
        controls = await self._operating.controls(calling_person(), current_call().request_id)
        annotate(count=len(controls.suspensions))
        return controls_message(controls, self._operating.default_limits)

    async def SetOwnerLimits(
        self, request: operator_pb.SetOwnerLimitsRequest, context: ServicerContext
    ) -> operator_pb.SetOwnerLimitsResponse:
        """Give an owner limits of its own, or the deployment's again."""
        del context
        owner = OwnerName.parse(request.owner_limits.owner, "owner_limits.owner")
        annotate(owner=str(owner))
        limits = await self._operating.set_owner_limits(
            calling_person(),
            owner,
            optional_limits(request.owner_limits),
            current_call().request_id,
        )
        return operator_pb.SetOwnerLimitsResponse(owner_limits=owner_limits_message(owner, limits))
