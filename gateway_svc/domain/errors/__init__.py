"""The closed set of failures that the gateway tells apps.

ServiceError
├── NotGrantedError, GrantRevokedError, GrantExpiredError     refused by the key service
├── SourceNotGrantedError, EndpointNotGrantedError, ModelNotGrantedError
├── KeyPendingError, KeyDisabledError, KeyExpiredError
├── AppProofInvalidError, AppProofRequiredError, OwnerNotPresentError
├── SuspendedError
├── RateLimitedError, BudgetSpentError, TokenBoundRequiredError, ModelPriceUnknownError
├── LimitStoreUnavailableError
├── KeyServiceUnavailableError, LeaseExpiredError, SealedKeyUnusableError
├── HandoffSpentError, HandoffForgedError                    Vault
├── KeyRejectedUpstreamError                                  OpenAI
├── UpstreamUnavailableError, UpstreamTimedOutError, UpstreamAnswerUnusableError
├── UpstreamNotAllowedError
└── UpstreamRefusedError
    ├── UpstreamInvalidRequestError, UpstreamNotFoundError, UpstreamForbiddenError
    └── UpstreamConflictError, UpstreamRateLimitedError, UpstreamFailedError
"""

from __future__ import annotations

from gateway_svc.domain.errors.leases import (
    AppProofInvalidError,
    AppProofRequiredError,
    EndpointNotGrantedError,
    GrantExpiredError,
    GrantRevokedError,
    HandoffForgedError,
    HandoffSpentError,
    KeyDisabledError,
    KeyExpiredError,
    KeyPendingError,
    KeyServiceUnavailableError,
    LeaseExpiredError,
    ModelNotGrantedError,
    NotGrantedError,
    OwnerNotPresentError,
    SealedKeyUnusableError,
    SourceNotGrantedError,
    SuspendedError,
)
from gateway_svc.domain.errors.limits import (
    BudgetSpentError,
    LimitStoreUnavailableError,
    ModelPriceUnknownError,
    RateLimitedError,
    TokenBoundRequiredError,
)
from gateway_svc.domain.errors.upstream import (
    KeyRejectedUpstreamError,
    UpstreamAnswerUnusableError,
    UpstreamConflictError,
    UpstreamFailedError,
    UpstreamForbiddenError,
    UpstreamInvalidRequestError,
    UpstreamNotAllowedError,
    UpstreamNotFoundError,
    UpstreamRateLimitedError,
    UpstreamRefusedError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)

__all__ = [
    "AppProofInvalidError",
    "AppProofRequiredError",
    "BudgetSpentError",
    "EndpointNotGrantedError",
    "GrantExpiredError",
    "GrantRevokedError",
    "HandoffForgedError",
    "HandoffSpentError",
    "KeyDisabledError",
    "KeyExpiredError",
    "KeyPendingError",
    "KeyRejectedUpstreamError",
    "KeyServiceUnavailableError",
    "LeaseExpiredError",
    "LimitStoreUnavailableError",
    "ModelNotGrantedError",
    "ModelPriceUnknownError",
    "NotGrantedError",
    "OwnerNotPresentError",
    "RateLimitedError",
    "SealedKeyUnusableError",
    "SourceNotGrantedError",
    "SuspendedError",
    "TokenBoundRequiredError",
    "UpstreamAnswerUnusableError",
    "UpstreamConflictError",
    "UpstreamFailedError",
    "UpstreamForbiddenError",
    "UpstreamInvalidRequestError",
    "UpstreamNotAllowedError",
    "UpstreamNotFoundError",
    "UpstreamRateLimitedError",
    "UpstreamRefusedError",
    "UpstreamTimedOutError",
    "UpstreamUnavailableError",
]
