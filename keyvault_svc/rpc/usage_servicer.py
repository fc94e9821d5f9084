"""Serves UsageService."""

from __future__ import annotations

from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn.keyvault.v1.usage_service_pb2_grpc import UsageServiceServicer
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.usage_report import UsageReporting
from keyvault_svc.rpc.key_messages import calling_person
from keyvault_svc.rpc.usage_messages import (
    optional_date,
    owner_or_key,
    place_of_token,
    report_page,
)
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call


class UsageServicer(UsageServiceServicer):
    """UsageService over `UsageReporting`."""

    def __init__(self, reporting: UsageReporting) -> None:
        self._reporting = reporting

    async def GetUsage(
        self, request: usage_pb.GetUsageRequest, context: ServicerContext
    ) -> usage_pb.GetUsageResponse:
        """Tell what was used, and what is left."""
        del context
        name = owner_or_key("name", request.name)
        if isinstance(name, KeyName):
            annotate(key=str(name))
        else:
            annotate(owner=str(name))
        report = await self._reporting.report(
            calling_person(),
            name,
            current_call().request_id,
            since=optional_date("since_date", request.since_date),
            until=optional_date("until_date", request.until_date),
            after=place_of_token(request.page_token),
        )
        page = report_page(report)
        annotate(count=len(page.rows))
        return page
