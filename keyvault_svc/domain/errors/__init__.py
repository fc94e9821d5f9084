"""The closed set of failures that the key service tells its callers.

ServiceError
├── KeyNotFoundError, KeyExistsError, TooManyKeysError       owners: records
├── KeyDuplicateError, KeyStateConflictError
├── KeyChangedMeanwhileError, KeyRecordUnreadableError
├── GrantNotFoundError, GrantExistsError, TooManyGrantsError owners: consent
├── GrantEndedError, ConsentTextOutdatedError
├── GrantRequestNotFoundError, GrantRequestDecidedError      owners: requests for grants
├── TooManyGrantRequestsError
├── NotTheOwnerError, StepUpRequiredError                    all people
├── TooManySuspensionsError                                  operators
├── NotGrantedError, GrantRevokedError, GrantExpiredError    gateways: leases
├── KeyPendingError, KeyDisabledError, KeyExpiredError, KeyRejectedError
├── SourceNotGrantedError, EndpointNotGrantedError, ModelNotGrantedError
├── AppProofInvalidError, AppProofRequiredError, OwnerNotPresentError
├── SuspendedError
├── VerificationNotFoundError                                gateways: verifications
├── RateLimitedError, BudgetSpentError                       limits
├── TokenBoundRequiredError, ModelPriceUnknownError
└── LimitStoreUnavailableError
"""

from __future__ import annotations

from keyvault_svc.domain.errors.gateways import (
    AppProofInvalidError,
    AppProofRequiredError,
    EndpointNotGrantedError,
    GrantExpiredError,
    GrantRevokedError,
    KeyDisabledError,
    KeyExpiredError,
    KeyPendingError,
    KeyRejectedError,
    ModelNotGrantedError,
    NotGrantedError,
    OwnerNotPresentError,
    SourceNotGrantedError,
    SuspendedError,
    VerificationNotFoundError,
)
from keyvault_svc.domain.errors.limits import (
    BudgetSpentError,
    LimitStoreUnavailableError,
    ModelPriceUnknownError,
    RateLimitedError,
    TokenBoundRequiredError,
)
from keyvault_svc.domain.errors.owners import (
    ConsentTextOutdatedError,
    GrantEndedError,
    GrantExistsError,
    GrantNotFoundError,
    GrantRequestDecidedError,
    GrantRequestNotFoundError,
    KeyChangedMeanwhileError,
    KeyDuplicateError,
    KeyExistsError,
    KeyNotFoundError,
    KeyRecordUnreadableError,
    KeyStateConflictError,
    NotTheOwnerError,
    StepUpRequiredError,
    TooManyGrantRequestsError,
    TooManyGrantsError,
    TooManyKeysError,
    TooManySuspensionsError,
)

__all__ = [
    "AppProofInvalidError",
    "AppProofRequiredError",
    "BudgetSpentError",
    "ConsentTextOutdatedError",
    "EndpointNotGrantedError",
    "GrantEndedError",
    "GrantExistsError",
    "GrantExpiredError",
    "GrantNotFoundError",
    "GrantRequestDecidedError",
    "GrantRequestNotFoundError",
    "GrantRevokedError",
    "KeyChangedMeanwhileError",
    "KeyDisabledError",
    "KeyDuplicateError",
    "KeyExistsError",
    "KeyExpiredError",
    "KeyNotFoundError",
    "KeyPendingError",
    "KeyRecordUnreadableError",
    "KeyRejectedError",
    "KeyStateConflictError",
    "LimitStoreUnavailableError",
    "ModelNotGrantedError",
    "ModelPriceUnknownError",
    "NotGrantedError",
    "NotTheOwnerError",
    "OwnerNotPresentError",
    "RateLimitedError",
    "SourceNotGrantedError",
    "StepUpRequiredError",
    "SuspendedError",
    "TokenBoundRequiredError",
    "TooManyGrantRequestsError",
    "TooManyGrantsError",
    "TooManyKeysError",
    "TooManySuspensionsError",
    "VerificationNotFoundError",
]
