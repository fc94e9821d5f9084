"""Turn every failure into a status with fixed text, so that no exception's text leaves.

Without this, gRPC sends `Unexpected <class ...>: <text of the exception>` to the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeAlias

import grpc
import structlog

from svc_runtime.call_context import REQUEST_ID_KEY, CallContext, current_call, request_id_from
from svc_runtime.error_details import STATUS_DETAILS_KEY, status_of
from svc_runtime.interceptors.handler_wrapping import Proceed, ServicerContext, WrappingInterceptor
from svc_runtime.interceptors.trailing_metadata import add_trailing_metadata
from svc_runtime.log_fields import LogField
from svc_runtime.logging_setup import exception_name, exception_place
from svc_runtime.service_error import (
    CallerNotAllowedError,
    CallerUnverifiedError,
    InvalidFieldError,
    ServiceError,
    ServiceStoppingError,
)

StatusTable: TypeAlias = Mapping[type[ServiceError], grpc.StatusCode]

RUNTIME_STATUS: StatusTable = {
    InvalidFieldError: grpc.StatusCode.INVALID_ARGUMENT,
    CallerUnverifiedError: grpc.StatusCode.UNAUTHENTICATED,
    CallerNotAllowedError: grpc.StatusCode.PERMISSION_DENIED,
    ServiceStoppingError: grpc.StatusCode.UNAVAILABLE,
}
"""The rows of the errors that any service can raise."""

_log = structlog.stdlib.get_logger()


class _InternalError(ServiceError):
    """Something that no table foresees."""

    reason = "INTERNAL"
    public_message = "internal error"


class ErrorStatusInterceptor(WrappingInterceptor):
    """Answers a `ServiceError` by its table row, anything else with `INTERNAL`."""

    def __init__(self, status_table: StatusTable, error_domain: str) -> None:
        """Create an interceptor.

        Args:
            status_table: Code per error class of the service; a class without a row takes
                its nearest base's. The rows of `RUNTIME_STATUS` need not be repeated.
            error_domain: Names the service in `ErrorInfo`, such as `keyvault.keyturn`.
        """
        self._table = {**RUNTIME_STATUS, **status_table}
        self._domain = error_domain

    async def around(self, proceed: Proceed, context: ServicerContext) -> Any:  # noqa: ANN401  # any RPC's response
        """Return what the call returns, or abort it."""
        try:
            _check_request_id(context)
            return await proceed()
        except grpc.aio.BaseError as error:
            if not isinstance(error, grpc.aio.UsageError):
                raise  # Aborted already, or the connection is gone: nobody left to tell
            failure = self._failure_of(error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The cancellation of something that the handler awaited. gRPC would take it for
            # the caller's, send nothing, and leave the caller waiting for its deadline.
            failure = self._failure_of(error)
        except Exception as error:  # noqa: BLE001  # the last place that can keep its text in
            failure = self._failure_of(error)
        # Outside the except block, so that nothing raised from here holds the cause.
        await self._abort(context, *failure)
        raise AssertionError("abort always raises")

    def _failure_of(self, error: BaseException) -> tuple[ServiceError, grpc.StatusCode]:
        code = next((self._table[c] for c in type(error).__mro__ if c in self._table), None)
        if isinstance(error, ServiceError) and code is not None:
            return error, code
        _log.error("internal_error", exception=exception_name(error), where=exception_place(error))
        return _InternalError(), grpc.StatusCode.INTERNAL

    async def _abort(
        self, context: ServicerContext, error: ServiceError, code: grpc.StatusCode
    ) -> None:
        call = current_call()
        _annotate(call, error)
        status = status_of(error, code, domain=self._domain, request_id=call.request_id)
        add_trailing_metadata(context, REQUEST_ID_KEY, call.request_id)
        add_trailing_metadata(context, STATUS_DETAILS_KEY, status.SerializeToString())
        await context.abort(code, status.message)


def _annotate(call: CallContext, error: ServiceError) -> None:
    call.fields[LogField.REASON] = error.reason
    if isinstance(error, InvalidFieldError):
        call.fields[LogField.DETAIL] = error.field


def _check_request_id(context: ServicerContext) -> None:
    """Refuse a malformed request id, which audit, further out, could not answer with details."""
    request_id_from([v for k, v in context.invocation_metadata() or () if k == REQUEST_ID_KEY])
