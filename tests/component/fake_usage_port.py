"""The key service's UsageService as a fake: it answers from memory, some rows at a time."""

# ruff: noqa: N802 - the names of RPC methods are fixed by the proto

from __future__ import annotations

import grpc

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn.keyvault.v1 import usage_service_pb2_grpc as usage_grpc
from tests.component.fake_owner_port import FakeOwnerPort


class FakeUsagePort(FakeOwnerPort, usage_grpc.UsageServiceServicer):
    """Tells the same of everybody.

    Attributes:
        usage_rows: What was used.
        standings: How far limits are used up.
        page_rows: How many rows fit into one response.
        usage_requests: What was asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.usage_rows: list[usage_pb.UsageRow] = []
        self.standings: list[limits_pb.LimitStanding] = []
        self.page_rows = 100
        self.usage_requests: list[usage_pb.GetUsageRequest] = []

    def GetUsage(
        self, request: usage_pb.GetUsageRequest, context: grpc.ServicerContext
    ) -> usage_pb.GetUsageResponse:
        self.enter(request, context)
        self.usage_requests.append(request)
        begin = int(request.page_token or "0")
        end = begin + self.page_rows
        return usage_pb.GetUsageResponse(
            rows=self.usage_rows[begin:end],
            standings=[] if begin else self.standings,
            next_page_token=str(end) if end < len(self.usage_rows) else "",
        )
