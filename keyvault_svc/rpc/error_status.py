"""Which failure is which gRPC status. A test holds the table complete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from grpc import StatusCode

from keyvault_svc.domain import errors
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError

ERROR_DOMAIN: Final = "keyvault.keyturn"

ERROR_STATUS: Final[Mapping[type[ServiceError], StatusCode]] = {
    errors.KeyNotFoundError: StatusCode.NOT_FOUND,
    errors.KeyExistsError: StatusCode.ALREADY_EXISTS,
    errors.TooManyKeysError: StatusCode.RESOURCE_EXHAUSTED,
    errors.KeyDuplicateError: StatusCode.ALREADY_EXISTS,
    errors.KeyStateConflictError: StatusCode.FAILED_PRECONDITION,
    errors.KeyChangedMeanwhileError: StatusCode.ABORTED,
    errors.KeyRecordUnreadableError: StatusCode.DATA_LOSS,
    errors.GrantNotFoundError: StatusCode.NOT_FOUND,
    errors.GrantExistsError: StatusCode.ALREADY_EXISTS,
    errors.TooManyGrantsError: StatusCode.RESOURCE_EXHAUSTED,
    errors.GrantEndedError: StatusCode.FAILED_PRECONDITION,
    errors.ConsentTextOutdatedError: StatusCode.FAILED_PRECONDITION,
    errors.GrantRequestNotFoundError: StatusCode.NOT_FOUND,
    errors.GrantRequestDecidedError: StatusCode.FAILED_PRECONDITION,
    errors.TooManyGrantRequestsError: StatusCode.RESOURCE_EXHAUSTED,
    errors.NotTheOwnerError: StatusCode.PERMISSION_DENIED,
    errors.NotGrantedError: StatusCode.PERMISSION_DENIED,
    errors.GrantRevokedError: StatusCode.PERMISSION_DENIED,
    errors.GrantExpiredError: StatusCode.PERMISSION_DENIED,
    errors.KeyPendingError: StatusCode.FAILED_PRECONDITION,
    errors.KeyDisabledError: StatusCode.FAILED_PRECONDITION,
    errors.KeyExpiredError: StatusCode.FAILED_PRECONDITION,
    errors.KeyRejectedError: StatusCode.FAILED_PRECONDITION,
    errors.SourceNotGrantedError: StatusCode.PERMISSION_DENIED,
    errors.EndpointNotGrantedError: StatusCode.PERMISSION_DENIED,
    errors.ModelNotGrantedError: StatusCode.PERMISSION_DENIED,
    errors.AppProofInvalidError: StatusCode.UNAUTHENTICATED,
    errors.AppProofRequiredError: StatusCode.UNAUTHENTICATED,
    errors.OwnerNotPresentError: StatusCode.PERMISSION_DENIED,
    errors.SuspendedError: StatusCode.PERMISSION_DENIED,
    errors.ModelPriceUnknownError: StatusCode.PERMISSION_DENIED,
    errors.TokenBoundRequiredError: StatusCode.INVALID_ARGUMENT,
    errors.RateLimitedError: StatusCode.RESOURCE_EXHAUSTED,
    errors.BudgetSpentError: StatusCode.RESOURCE_EXHAUSTED,
    errors.LimitStoreUnavailableError: StatusCode.UNAVAILABLE,
    errors.StepUpRequiredError: StatusCode.UNAUTHENTICATED,
    errors.TooManySuspensionsError: StatusCode.RESOURCE_EXHAUSTED,
    errors.VerificationNotFoundError: StatusCode.NOT_FOUND,
    AuditUnavailableError: StatusCode.UNAVAILABLE,
    IssuerUnavailableError: StatusCode.UNAVAILABLE,
    VaultUnavailableError: StatusCode.UNAVAILABLE,
}
