"""Which failure is which gRPC status. A test holds the table complete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from grpc import StatusCode

from gateway_svc.domain import errors
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError

ERROR_DOMAIN: Final = "gateway.keyturn"

ERROR_STATUS: Final[Mapping[type[ServiceError], StatusCode]] = {
    errors.NotGrantedError: StatusCode.PERMISSION_DENIED,
    errors.GrantRevokedError: StatusCode.PERMISSION_DENIED,
    errors.GrantExpiredError: StatusCode.PERMISSION_DENIED,
    errors.KeyPendingError: StatusCode.FAILED_PRECONDITION,
    errors.KeyDisabledError: StatusCode.FAILED_PRECONDITION,
    errors.KeyExpiredError: StatusCode.FAILED_PRECONDITION,
    errors.SourceNotGrantedError: StatusCode.PERMISSION_DENIED,
    errors.EndpointNotGrantedError: StatusCode.PERMISSION_DENIED,
    errors.ModelNotGrantedError: StatusCode.PERMISSION_DENIED,
    errors.AppProofInvalidError: StatusCode.UNAUTHENTICATED,
    errors.AppProofRequiredError: StatusCode.UNAUTHENTICATED,
    errors.OwnerNotPresentError: StatusCode.PERMISSION_DENIED,
    errors.SuspendedError: StatusCode.PERMISSION_DENIED,
    errors.RateLimitedError: StatusCode.RESOURCE_EXHAUSTED,
    errors.BudgetSpentError: StatusCode.RESOURCE_EXHAUSTED,
    errors.TokenBoundRequiredError: StatusCode.INVALID_ARGUMENT,
    errors.ModelPriceUnknownError: StatusCode.PERMISSION_DENIED,
    errors.LimitStoreUnavailableError: StatusCode.UNAVAILABLE,
    errors.KeyServiceUnavailableError: StatusCode.UNAVAILABLE,
    errors.LeaseExpiredError: StatusCode.UNAVAILABLE,
    errors.SealedKeyUnusableError: StatusCode.DATA_LOSS,
    errors.HandoffSpentError: StatusCode.ABORTED,
    errors.HandoffForgedError: StatusCode.FAILED_PRECONDITION,
    errors.KeyRejectedUpstreamError: StatusCode.FAILED_PRECONDITION,
    errors.UpstreamUnavailableError: StatusCode.UNAVAILABLE,
    errors.UpstreamTimedOutError: StatusCode.DEADLINE_EXCEEDED,
    errors.UpstreamNotAllowedError: StatusCode.FAILED_PRECONDITION,
    errors.UpstreamAnswerUnusableError: StatusCode.OUT_OF_RANGE,
    errors.UpstreamInvalidRequestError: StatusCode.INVALID_ARGUMENT,
    errors.UpstreamNotFoundError: StatusCode.NOT_FOUND,
    errors.UpstreamForbiddenError: StatusCode.PERMISSION_DENIED,
    errors.UpstreamConflictError: StatusCode.ABORTED,
    errors.UpstreamRateLimitedError: StatusCode.RESOURCE_EXHAUSTED,
    errors.UpstreamFailedError: StatusCode.UNAVAILABLE,
    AuditUnavailableError: StatusCode.UNAVAILABLE,
    IssuerUnavailableError: StatusCode.UNAVAILABLE,
    VaultUnavailableError: StatusCode.UNAVAILABLE,
}
