"""What a deployment decides about the age of keys, and about rotations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

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
    """

    rotate_after: timedelta | None = timedelta(days=90)
    max_age: timedelta | None = None
    overlap: timedelta = timedelta(days=1)
    are_shared_keys_refused: bool = False
