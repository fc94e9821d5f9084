"""What can go wrong at Vault, without the response body that hvac's errors carry."""

from __future__ import annotations

from svc_runtime.service_error import ServiceError


class VaultUnavailableError(ServiceError):
    """Vault is sealed, down, slow, refuses to serve us, or cannot audit."""

    reason = "VAULT_UNAVAILABLE"
    public_message = "Vault cannot serve this request now. Nothing was refused; try again shortly."
    retry_after_seconds = 1.0


class VaultAnswerError(Exception):
    """Vault answered, and the answer is not a success. For the service's `vault/` to translate."""


class VaultNotFoundError(VaultAnswerError):
    """Nothing is stored at the path."""


class VaultConflictError(VaultAnswerError):
    """A check-and-set write met a newer version."""


class VaultBadRequestError(VaultAnswerError):
    """Vault found the request's content invalid (for transit: a ciphertext that does not open)."""


class VaultPermissionError(VaultAnswerError):
    """The token may not do this, or is no longer valid: Vault tells neither apart."""


class VaultLoginError(Exception):
    """The service's own credential is missing, malformed, or refused. The text is a constant."""
