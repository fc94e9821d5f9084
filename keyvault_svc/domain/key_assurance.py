"""How safe an owner wants a key's hand-off to be."""

from __future__ import annotations

from enum import StrEnum


class KeyAssurance(StrEnum):
    """How a lease carries the sealed key to the gateway."""

    STANDARD = "standard"
    HIGH = "high"
