"""Add to a call's trailing metadata without losing what is there."""

from __future__ import annotations

from svc_runtime.interceptors.handler_wrapping import ServicerContext


def add_trailing_metadata(context: ServicerContext, key: str, value: str | bytes) -> None:
    """Set *key* to *value* in the trailing metadata of *context*; other keys stay."""
    others = ((k, v) for k, v in context.trailing_metadata() or () if k != key)
    context.set_trailing_metadata((*others, (key, value)))
