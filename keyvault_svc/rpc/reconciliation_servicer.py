"""Serves ReconciliationService."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keyturn.keyvault.v1 import reconciliation_service_pb2 as reconciliation_pb
from keyturn.keyvault.v1.reconciliation_service_pb2_grpc import ReconciliationServiceServicer
from keyvault_svc.domain.intake import check_openai_key_id
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.reconciliation import Comparison, Counted, Verdict
from keyvault_svc.domain.reconciling import Reconciling, ReportedUsage
from keyvault_svc.rpc.key_verification_servicer import calling_gateway
from keyvault_svc.rpc.lease_messages import lease_message
from keyvault_svc.rpc.usage_messages import optional_date
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call
from svc_runtime.service_error import InvalidFieldError

MAX_USAGES: Final = 100  # in one ReportReconciliation
_MAX_KEYS: Final = 500  # of all usages together; the record of each is read
_MAX_COUNT: Final = 2**48
_ENTRY_DIGITS: Final = 64
_VERDICT: Final = {
    Verdict.MATCHES: reconciliation_pb.RECONCILIATION_VERDICT_MATCHES,
    Verdict.USED_ELSEWHERE: reconciliation_pb.RECONCILIATION_VERDICT_USED_ELSEWHERE,
    Verdict.COUNTED_LESS: reconciliation_pb.RECONCILIATION_VERDICT_COUNTED_LESS,
}


class ReconciliationServicer(ReconciliationServiceServicer):
    """ReconciliationService over `Reconciling`."""

    def __init__(self, reconciling: Reconciling) -> None:
        self._reconciling = reconciling

    async def ListReconciledKeys(
        self, request: reconciliation_pb.ListReconciledKeysRequest, context: ServicerContext
    ) -> reconciliation_pb.ListReconciledKeysResponse:
        """List keys that can be compared, and what went through Keyturn with them."""
        del context
        page = await self._reconciling.list_keys(
            calling_gateway(),
            optional_date("date", request.date),
            _entry_of(request.page_token),
            current_call().request_id,
        )
        annotate(count=len(page.keys))
        return reconciliation_pb.ListReconciledKeysResponse(
            date=page.day.isoformat(),
            keys=[
                reconciliation_pb.ReconciledKey(
                    key=str(key.key),
                    openai_key_id=key.openai_key_id,
                    keyturn_usage=_usage_message(key.keyturn),
                )
                for key in page.keys
            ],
            uncovered_keys=[str(name) for name in page.uncovered],
            next_page_token=page.last_entry,
        )

    async def LeaseAdminKey(
        self, request: reconciliation_pb.LeaseAdminKeyRequest, context: ServicerContext
    ) -> reconciliation_pb.LeaseAdminKeyResponse:
        """Lease the admin key for one question to OpenAI."""
        del request, context
        gateway = calling_gateway()
        request_id = current_call().request_id
        lease = await self._reconciling.lease_admin_key(gateway, request_id)
        annotate(
            key=str(lease.key),
            lease=lease.lease_id,
            key_version=lease.key_version,
            app=str(gateway),
        )
        return reconciliation_pb.LeaseAdminKeyResponse(
            key=str(lease.key),
            lease=lease_message(lease),
            request_id=request_id,
            app=str(gateway),
        )

    async def ReportReconciliation(
        self, request: reconciliation_pb.ReportReconciliationRequest, context: ServicerContext
    ) -> reconciliation_pb.ReportReconciliationResponse:
        """Compare what OpenAI counted."""
        del context
        day = optional_date("date", request.date)
        if day is None:
            raise InvalidFieldError("date", "must not be empty")
        comparisons = await self._reconciling.report(
            calling_gateway(), day, _reported(request.usages), current_call().request_id
        )
        annotate(count=len(comparisons))
        return reconciliation_pb.ReportReconciliationResponse(
            comparisons=[_comparison_message(comparison) for comparison in comparisons]
        )

    async def RecheckAdminKey(
        self, request: reconciliation_pb.RecheckAdminKeyRequest, context: ServicerContext
    ) -> reconciliation_pb.RecheckAdminKeyResponse:
        """Have the admin key verified."""
        del request, context
        await self._reconciling.recheck_admin_key(calling_gateway(), current_call().request_id)
        return reconciliation_pb.RecheckAdminKeyResponse()


def _entry_of(unverified: str) -> str:
    if unverified and (
        len(unverified) != _ENTRY_DIGITS or not set(unverified) <= set("0123456789abcdef")
    ):
        raise InvalidFieldError("page_token", "must be a next_page_token, as it was returned")
    return unverified


def _reported(messages: Iterable[reconciliation_pb.OpenAIUsage]) -> list[ReportedUsage]:
    """Return the usages that *messages* report.

    Raises:
        InvalidFieldError: There is none, there are too many, or one breaks a rule.
    """
    messages = list(messages)
    if sum(len(message.keys) for message in messages) > _MAX_KEYS:
        raise InvalidFieldError("usages.keys", f"must have {_MAX_KEYS} entries together at most")
    usages = [_usage(message) for message in messages]
    if not 1 <= len(usages) <= MAX_USAGES:
        raise InvalidFieldError("usages", f"must have 1 to {MAX_USAGES} entries")
    if len({usage.openai_key_id for usage in usages}) < len(usages):
        raise InvalidFieldError("usages.openai_key_id", "must differ between the entries")
    return usages


def _usage(message: reconciliation_pb.OpenAIUsage) -> ReportedUsage:
    key_id = check_openai_key_id("usages.openai_key_id", message.openai_key_id)
    if not key_id:
        raise InvalidFieldError("usages.openai_key_id", "must not be empty")
    if not message.keys:
        raise InvalidFieldError("usages.keys", "must not be empty")
    counted = message.openai_usage
    figures = (counted.request_count, counted.input_tokens, counted.output_tokens)
    if max(figures) > _MAX_COUNT:
        raise InvalidFieldError("usages.openai_usage", "must have figures of at most 2^48")
    names = {KeyName.parse(name, "usages.keys") for name in message.keys}
    return ReportedUsage(key_id, tuple(sorted(names)), Counted(*figures))


def _usage_message(counted: Counted) -> reconciliation_pb.CountedUsage:
    return reconciliation_pb.CountedUsage(
        request_count=counted.requests,
        input_tokens=counted.input_tokens,
        output_tokens=counted.output_tokens,
    )


def _comparison_message(comparison: Comparison) -> reconciliation_pb.Comparison:
    return reconciliation_pb.Comparison(
        openai_key_id=comparison.openai_key_id,
        keys=[str(name) for name in comparison.keys],
        keyturn_usage=_usage_message(comparison.keyturn),
        openai_usage=_usage_message(comparison.openai),
        verdict=_VERDICT[comparison.verdict],
    )
