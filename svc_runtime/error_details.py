"""Errors on the wire: `google.rpc.Status` with details, written by servers, read by clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import (  # type: ignore[import-untyped]  # stubs without a py.typed marker
    error_details_pb2,
    status_pb2,
)

from svc_runtime.service_error import InvalidFieldError, ServiceError

STATUS_DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata key of the serialised `google.rpc.Status`, as every gRPC library knows it."""

_MAX_RETRY_SECONDS: Final = 24 * 60 * 60

_Detail = TypeVar("_Detail", bound=Message)


def status_of(
    error: ServiceError, code: grpc.StatusCode, *, domain: str, request_id: str
) -> status_pb2.Status:
    """Return *error* as a status with `ErrorInfo`, plus `RetryInfo` and `BadRequest` where due.

    Args:
        error: What went wrong. Its `details` attribute, if it has one, is a mapping of
            text to text that is safe to show, and goes into the metadata of `ErrorInfo`.
        code: The gRPC code of the error's class.
        domain: Names the service that reports, such as `keyvault.keyturn`.
        request_id: Request id of the call.
    """
    status = status_pb2.Status(code=code.value[0], message=error.public_message)
    extra = getattr(error, "details", None)
    metadata = dict(extra) if isinstance(extra, Mapping) else {}
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(
            reason=error.reason, domain=domain, metadata={**metadata, "request_id": request_id}
        )
    )
    if error.retry_after_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after_seconds * 1000))
        status.details.add().Pack(retry)
    if isinstance(error, InvalidFieldError):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.rule
        )
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    return status


def reason_of(rpc_error: grpc.aio.AioRpcError) -> str | None:
    """Return the stable reason that *rpc_error* carries, None where it carries none."""
    info = _detail_of(rpc_error, error_details_pb2.ErrorInfo)
    return None if info is None else info.reason


def metadata_of(rpc_error: grpc.aio.AioRpcError) -> dict[str, str]:
    """Return the metadata of the `ErrorInfo` of *rpc_error*; empty where there is none."""
    info = _detail_of(rpc_error, error_details_pb2.ErrorInfo)
    return {} if info is None else dict(info.metadata)


def field_violation_of(rpc_error: grpc.aio.AioRpcError) -> tuple[str, str] | None:
    """Return the field and the rule that it broke, None where *rpc_error* names none."""
    bad_request = _detail_of(rpc_error, error_details_pb2.BadRequest)
    if bad_request is None or not bad_request.field_violations:
        return None
    violation = bad_request.field_violations[0]
    return violation.field, violation.description


def retry_delay_of(rpc_error: grpc.aio.AioRpcError) -> float | None:
    """Return the seconds that *rpc_error* asks to wait, 0 to a day; None where it asks for none."""
    info = _detail_of(rpc_error, error_details_pb2.RetryInfo)
    if info is None:
        return None
    try:
        seconds = info.retry_delay.ToMilliseconds() / 1000
    except ValueError:
        return None
    return seconds if 0 <= seconds <= _MAX_RETRY_SECONDS else None


def _detail_of(rpc_error: grpc.aio.AioRpcError, kind: type[_Detail]) -> _Detail | None:
    """Return the first detail of type *kind*. What a server sends malformed counts as absent."""
    raw = next((v for k, v in rpc_error.trailing_metadata() or () if k == STATUS_DETAILS_KEY), b"")
    detail = kind()
    try:
        for packed in status_pb2.Status.FromString(raw if isinstance(raw, bytes) else b"").details:
            if packed.Unpack(detail):
                return detail
    except DecodeError:
        return None
    return None
