"""The key service's OperatorService as a fake: it answers from memory."""

# ruff: noqa: N802 - the names of RPC methods are fixed by the proto

from __future__ import annotations

import grpc

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import operator_service_pb2 as operators_pb
from keyturn.keyvault.v1 import operator_service_pb2_grpc as operators_grpc
from tests.component.fake_owner_port import START, FakeOwnerPort

DEFAULT = limits_pb.Limits(usd_per_month="100")


class FakeOperatorPort(FakeOwnerPort, operators_grpc.OperatorServiceServicer):
    """Everybody is an operator here.

    Attributes:
        suspensions: What is stopped.
        owner_limits: Limits of single owners.
    """

    def __init__(self) -> None:
        super().__init__()
        self.suspensions: dict[str, operators_pb.Suspension] = {}
        self.owner_limits: dict[str, limits_pb.Limits] = {}

    def Suspend(
        self, request: operators_pb.SuspendRequest, context: grpc.ServicerContext
    ) -> operators_pb.SuspendResponse:
        self.enter(request, context)
        made = request.suspension
        made.creator = "alice"
        made.create_time.FromDatetime(START)
        return operators_pb.SuspendResponse(
            suspension=self.suspensions.setdefault(made.subject, made)
        )

    def Resume(
        self, request: operators_pb.ResumeRequest, context: grpc.ServicerContext
    ) -> operators_pb.ResumeResponse:
        self.enter(request, context)
        ended = self.suspensions.pop(request.subject, None)
        return operators_pb.ResumeResponse(was_suspended=ended is not None)

    def GetControls(
        self, request: operators_pb.GetControlsRequest, context: grpc.ServicerContext
    ) -> operators_pb.GetControlsResponse:
        self.enter(request, context)
        return operators_pb.GetControlsResponse(
            suspensions=self.suspensions.values(),
            owner_limits=[
                operators_pb.OwnerLimits(owner=owner, limits=limits)
                for owner, limits in self.owner_limits.items()
            ],
            default_owner_limits=DEFAULT,
        )

    def SetOwnerLimits(
        self, request: operators_pb.SetOwnerLimitsRequest, context: grpc.ServicerContext
    ) -> operators_pb.SetOwnerLimitsResponse:
        self.enter(request, context)
        asked = request.owner_limits
        if asked.HasField("limits"):
            self.owner_limits[asked.owner] = asked.limits
        else:
            self.owner_limits.pop(asked.owner, None)
        limits = self.owner_limits.get(asked.owner, DEFAULT)
        return operators_pb.SetOwnerLimitsResponse(
            owner_limits=operators_pb.OwnerLimits(owner=asked.owner, limits=limits)
        )
