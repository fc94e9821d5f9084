"""A failed RPC, told to a person."""

from __future__ import annotations

from typing import Final

import grpc

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.failure_hints import BY_STATUS, UPSTREAM_REFUSED, advice_on
from keyturn_cli.service_channels import REQUEST_ID_KEY
from svc_runtime.error_details import field_violation_of, metadata_of, reason_of

# How the gRPC library tells that the certificate was the problem; it has no code for it.
_UNTRUSTED: Final = ("CERTIFICATE", "certificate", "Peer name", "hostname")
_WITHOUT_REASON: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "did not answer in time",
    grpc.StatusCode.CANCELLED: "broke off the call",
    grpc.StatusCode.UNIMPLEMENTED: "does not know this call",
    grpc.StatusCode.UNAVAILABLE: "does not answer",
}
# What OpenAI said, in the details of UPSTREAM_REFUSED, and how it is told.
_REFUSAL_DETAILS: Final = {"http_status": "HTTP ", "code": "", "message": ""}


def command_error_of(error: grpc.aio.AioRpcError, *, service: str, request_id: str) -> CommandError:
    """Return what to tell about *error*.

    Args:
        error: The failed call.
        service: The service and its address, in words.
        request_id: Id that the call was sent with; the one that came back wins.
    """
    returned = metadata_of(error).get("request_id") or _trailing_request_id(error)
    request_id = returned or request_id
    reason = reason_of(error)
    if reason is None:
        return _without_reason(error, service, request_id)
    advice = advice_on(reason, error.code())
    return CommandError(
        _text_of(error, reason),
        advice.exit_code,
        hint=advice.hint,
        reason=reason,
        request_id=request_id,
    )


def _text_of(error: grpc.aio.AioRpcError, reason: str) -> str:
    if violation := field_violation_of(error):
        field, rule = violation
        return f"{field}: {rule}"
    text = error.details() or f"The service answered {error.code().name}."
    if reason == UPSTREAM_REFUSED:
        metadata = metadata_of(error)
        said = [f"{label}{metadata[n]}" for n, label in _REFUSAL_DETAILS.items() if metadata.get(n)]
        if said:
            is_outage = error.code() is grpc.StatusCode.UNAVAILABLE
            fate = "OpenAI failed" if is_outage else "OpenAI refused the request"
            return f"{fate}: {', '.join(said)}"
    return text


def _without_reason(error: grpc.aio.AioRpcError, service: str, request_id: str) -> CommandError:
    """Return what to tell when no server of ours spoke: its text may be anybody's."""
    code = error.code()
    details = error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE and any(sign in details for sign in _UNTRUSTED):
        return CommandError(
            f"The certificate of {service} is not trusted by KEYTURN_CA.",
            ExitCode.USAGE,
            hint="Check KEYTURN_CA and the address; `keyturn doctor` shows what is wrong.",
        )
    subject = service[:1].upper() + service[1:]
    fate = _WITHOUT_REASON.get(code, f"answered {code.name} without a reason")
    advice = BY_STATUS.get(code, BY_STATUS[grpc.StatusCode.UNKNOWN])
    return CommandError(
        f"{subject} {fate}.",
        advice.exit_code,
        hint=advice.hint,
        reason=code.name,
        request_id=request_id,
    )


def _trailing_request_id(error: grpc.aio.AioRpcError) -> str:
    for name, value in error.trailing_metadata() or ():
        if name == REQUEST_ID_KEY and isinstance(value, str):
            return value
    return ""
