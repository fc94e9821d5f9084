"""Which failure is which HTTP status, in OpenAI's error form. A test holds the table complete."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

from gateway_svc.domain import errors
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.service_error import (
    CallerNotAllowedError,
    CallerUnverifiedError,
    InvalidFieldError,
    ServiceError,
    ServiceStoppingError,
)
from svc_runtime.vault.errors import VaultUnavailableError

_INVALID: Final = "invalid_request_error"
_UNAUTHENTICATED: Final = "authentication_error"
_DENIED: Final = "permission_error"
_FAILED: Final = "server_error"
# OpenAI's types for its own limits: of requests, of tokens, of money.
_REQUESTS: Final = "requests"
_TOKENS: Final = "tokens"
_QUOTA: Final = "insufficient_quota"

HTTP_STATUS: Final[Mapping[type[ServiceError], tuple[int, str]]] = {
    InvalidFieldError: (400, _INVALID),
    CallerUnverifiedError: (401, _UNAUTHENTICATED),
    CallerNotAllowedError: (403, _DENIED),
    errors.NotGrantedError: (403, _DENIED),
    errors.GrantRevokedError: (403, _DENIED),
    errors.GrantExpiredError: (403, _DENIED),
    errors.KeyPendingError: (403, _DENIED),
    errors.KeyDisabledError: (403, _DENIED),
    errors.KeyExpiredError: (403, _DENIED),
    errors.SourceNotGrantedError: (403, _DENIED),
    errors.EndpointNotGrantedError: (403, _DENIED),
    errors.ModelNotGrantedError: (403, _DENIED),
    errors.AppProofInvalidError: (401, _UNAUTHENTICATED),
    errors.AppProofRequiredError: (401, _UNAUTHENTICATED),
    errors.OwnerNotPresentError: (403, _DENIED),
    errors.SuspendedError: (403, _DENIED),
    errors.RateLimitedError: (429, _REQUESTS),
    errors.BudgetSpentError: (429, _QUOTA),
    errors.TokenBoundRequiredError: (400, _INVALID),
    errors.ModelPriceUnknownError: (403, _DENIED),
    errors.LimitStoreUnavailableError: (503, _FAILED),
    errors.KeyServiceUnavailableError: (503, _FAILED),
    errors.LeaseExpiredError: (503, _FAILED),
    errors.SealedKeyUnusableError: (500, _FAILED),
    errors.HandoffSpentError: (409, _FAILED),
    errors.HandoffForgedError: (403, _DENIED),
    errors.KeyRejectedUpstreamError: (401, _UNAUTHENTICATED),
    errors.UpstreamUnavailableError: (502, _FAILED),
    errors.UpstreamTimedOutError: (504, _FAILED),
    errors.UpstreamNotAllowedError: (403, _DENIED),
    AuditUnavailableError: (503, _FAILED),
    IssuerUnavailableError: (503, _FAILED),
    VaultUnavailableError: (503, _FAILED),
    ServiceStoppingError: (503, _FAILED),
}
"""Status and OpenAI error type. Errors of typed gRPC calls do not occur over HTTP."""

# OpenAI's SDKs retry each 429 by themselves, unless they are told not to.
_RETRY: Final[Mapping[type[ServiceError], str]] = {
    errors.RateLimitedError: "true",
    errors.BudgetSpentError: "false",
}

INTERNAL: Final = (500, "INTERNAL", "The gateway failed. Tell its operator the request id.")


def error_body(message: str, kind: str, param: str | None, code: str) -> bytes:
    """Return an error in the form of OpenAI's own, so that its SDKs understand it."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json.dumps({"error": error}).encode()


def http_error(error: ServiceError) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body that tell *error*."""
    status, kind = HTTP_STATUS[type(error)]
    headers = {"content-type": "application/json"}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_seconds))
        headers["retry-after-ms"] = str(round(error.retry_after_seconds * 1000))
    if type(error) in _RETRY:
        headers["x-should-retry"] = _RETRY[type(error)]
    if isinstance(error, errors.RateLimitedError) and error.limit and error.limit.counts_tokens:
        kind = _TOKENS
    param = error.field if isinstance(error, InvalidFieldError) else None
    return status, headers, error_body(error.public_message, kind, param, error.reason)


def internal_error() -> tuple[int, dict[str, str], bytes]:
    """Return the answer to a fault of this service; it says nothing of the fault."""
    status, reason, message = INTERNAL
    body = error_body(message, _FAILED, None, reason)
    return status, {"content-type": "application/json"}, body
