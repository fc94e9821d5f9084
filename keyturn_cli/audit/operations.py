"""Operations at Vault: a request and its answer, paired by Vault's own id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from keyturn_cli.audit.entries import Place, VaultEntry

_DENIED: Final = "permission denied"


@dataclass(slots=True)
class Operation:
    """One operation: its answer's entry, or the request's when no answer has come.

    Attributes:
        entry: What it was.
        start_us: When Vault was asked; when it answered if no line says so.
        request_place: Where the request is; None when no line says it.
        is_answered: Whether `entry` is the answer.
    """

    entry: VaultEntry
    start_us: int
    request_place: Place | None
    is_answered: bool

    @property
    def places(self) -> tuple[Place, ...]:
        """The lines that show it."""
        if self.request_place is None or self.request_place == self.entry.place:
            return (self.entry.place,)
        return (self.request_place, self.entry.place)

    @property
    def is_done(self) -> bool:
        """Whether Vault did it. Without an answer nothing says that Vault did not."""
        return not self.entry.error

    @property
    def is_denied(self) -> bool:
        """Whether a policy forbade it."""
        return _DENIED in self.entry.error

    @property
    def gave_data(self) -> bool:
        """Whether a read gave something out, or may have."""
        has_data = self.entry.has_answer_data or self.entry.is_wrapped
        return self.is_done and (has_data or not self.is_answered)

    def facts(self, **more: str) -> Mapping[str, str]:
        """Return what findings name."""
        entry = self.entry
        return {
            "who": who(entry),
            "operation": entry.operation,
            "path": entry.path,
            "lease": entry.lease,
            "app": entry.app,
            "key": entry.key,
            "request_id": entry.request_id,
            "address": entry.remote_address,
            **more,
        }


def who(entry: VaultEntry) -> str:
    """Return what names the caller best: the login's role, else the token's name."""
    return entry.role or entry.display_name or "somebody without a login"


def duration(microseconds: int) -> str:
    """Return a length of time in words."""
    seconds = abs(microseconds) / 1_000_000
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.3f} s"  # noqa: PLR2004  # two digits


def texts(values: Iterable[str]) -> str:
    """Return *values* as one text."""
    return ", ".join(values)
