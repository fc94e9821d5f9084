"""What a deployment decides about keys: their age, rotations, and where they are used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from keyvault_svc.domain.names import KeyName
from svc_runtime.service_error import InvalidFieldError

MAX_OVERLAP: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """A deployment's rules for every key.

    Attributes:
        rotate_after: Age of a version from which its key is due for rotation; None for never.
        max_age: Age of a version at which it expires; None for never.
        overlap: How long a replaced version is kept where the owner does not say; at most
            `MAX_OVERLAP`.
        are_shared_keys_refused: Whether a plaintext that another owner has in custody is refused.
            Otherwise it is taken, and security is told.
        base_urls: Where at OpenAI keys may be used, beside the default.
        admin_key: The key that asks OpenAI for usage and serves no app; None for none.
    """

    rotate_after: timedelta | None = timedelta(days=90)
    max_age: timedelta | None = None
    overlap: timedelta = timedelta(days=1)
    are_shared_keys_refused: bool = False
    base_urls: frozenset[str] = frozenset()
    admin_key: KeyName | None = None

    def must_allow(self, base_url: str, field: str) -> None:
        """Return if keys may be used at *base_url*; empty is the default, which they may.

        Raises:
            InvalidFieldError: They may not.
        """
        if base_url and base_url not in self.base_urls:
            allowed = ", ".join(sorted(self.base_urls)) or "empty: there is but the default"
            raise InvalidFieldError(field, f"must be one that the deployment allows: {allowed}")
