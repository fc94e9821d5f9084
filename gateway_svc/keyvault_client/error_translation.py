"""The key service's statuses as this service's errors, by their reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import grpc

from gateway_svc.domain import errors
from gateway_svc.domain.reached_limit import ReachedLimit
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.error_details import field_violation_of, metadata_of, reason_of, retry_delay_of
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.service_error import InvalidFieldError, ServiceError
from svc_runtime.vault.errors import VaultUnavailableError

BY_REASON: Final[Mapping[str, Callable[[], ServiceError]]] = {
    error.reason: error
    for error in (
        errors.NotGrantedError,
        errors.GrantRevokedError,
        errors.GrantExpiredError,
        errors.KeyPendingError,
        errors.KeyDisabledError,
        errors.KeyExpiredError,
        errors.KeyRejectedUpstreamError,
        errors.SourceNotGrantedError,
        errors.EndpointNotGrantedError,
        errors.ModelNotGrantedError,
        errors.AppProofInvalidError,
        errors.AppProofRequiredError,
        errors.OwnerNotPresentError,
        errors.SuspendedError,
        errors.RateLimitedError,
        errors.BudgetSpentError,
        errors.TokenBoundRequiredError,
        errors.ModelPriceUnknownError,
        errors.LimitStoreUnavailableError,
        AuditUnavailableError,
        IssuerUnavailableError,
        VaultUnavailableError,
    )
} | {
    # The record is there and cannot be read: to the app it is the key that is unusable.
    "KEY_RECORD_UNREADABLE": errors.SealedKeyUnusableError,
}


def to_service_error(error: grpc.aio.AioRpcError) -> ServiceError:
    """Return what *error*, from the key service, is to the app.

    Whatever is not a decision of the key service is an outage, its refusal of this gateway
    included: the app has done nothing wrong then.
    """
    violation = field_violation_of(error)
    if violation is not None:
        field, rule = violation
        return InvalidFieldError(field, rule)
    match reason_of(error):
        case errors.RateLimitedError.reason:
            limit = ReachedLimit.of(metadata_of(error))
            return errors.RateLimitedError(limit, retry_delay_of(error))
        case errors.BudgetSpentError.reason:
            return errors.BudgetSpentError(ReachedLimit.of(metadata_of(error)))
        case reason:
            return BY_REASON.get(reason or "", errors.KeyServiceUnavailableError)()
