"""Which models the messages of a live session name, and whether they have been allowed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from gateway_svc.domain.named_models import models_in_text

Allow = Callable[[tuple[str, ...]], Awaitable[None]]
"""Asks whether models may be used; raises `ServiceError` when not. None of them: still at all?"""

# Larger messages are parsed beside the event loop, so that other sessions do not wait for them.
_SMALL_CHARACTERS: Final = 256 * 1024


class LiveModels:
    """The models that a session may use so far."""

    def __init__(self, allowed: Iterable[str], allow: Allow) -> None:
        """Begin with *allowed*; ask *allow* for others."""
        self._allowed = set(allowed)
        self._allow = allow

    async def must_be_allowed(self, message: str | bytes) -> None:
        """Return once every model that *message* names is allowed.

        Raises:
            InvalidFieldError: The message can be read in more than one way.
            ServiceError: A model is refused, or nobody can say whether it is.
        """
        text = message if isinstance(message, str) else _text_of(message)
        if not _may_name_model(text):
            return
        if len(text) <= _SMALL_CHARACTERS:
            models = models_in_text(text)
        else:
            models = await asyncio.to_thread(models_in_text, text)
        new = tuple(model for model in models if model not in self._allowed)
        if new:
            await self._allow(new)
            self._allowed.update(new)


def _may_name_model(text: str) -> bool:
    """Tell whether *text* can name a model at all; most messages are sound and cannot."""
    # The word may be written with escapes.
    return "\\" in text or "model" in text.lower()


def _text_of(message: bytes) -> str:
    """Return the JSON that a binary message is, as some servers read one; empty for all others."""
    try:
        text = message.decode(json.detect_encoding(message))
    except UnicodeDecodeError:
        return ""
    return text if text.lstrip(" \t\r\n\ufeff")[:1] in {"{", "["} else ""
