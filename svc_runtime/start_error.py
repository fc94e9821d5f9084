"""What keeps a service from starting, beside its settings and its certificate."""

from __future__ import annotations


class StartError(Exception):
    """The machine or container lacks something. The text says what, and what to do about it."""
