"""Entries that several audit devices or nodes wrote of the same operation count once."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from keyturn_cli.audit.entries import VaultEntry

# Devices write one after the other; a blocked one holds Vault up, so that copies lie close.
WINDOW_US: Final = 10_000_000
_DIGEST_BYTES: Final = 8


class CopyFilter:
    """Tells copies from entries of their own, by memory of the last 10 to 20 seconds.

    A copy is an entry of another log with the same operation and the same content. What one log
    says twice is no copy, nor is what two logs say differently: the rules shall see both.
    """

    def __init__(self) -> None:
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._turn_us = 0

    def is_copy(self, entry: VaultEntry, source: int) -> bool:
        """Return whether another log than *source* had *entry* already."""
        if not entry.operation_id:
            return False
        if not 0 <= entry.time_us - self._turn_us < WINDOW_US:
            self._older, self._recent = self._recent, {}
            self._turn_us = entry.time_us
        name = f"{entry.operation_id} {entry.is_answer:d} {_digest(entry)}"
        first = self._recent.get(name, self._older.get(name))
        if first is None:
            self._recent[name] = source
        return first is not None and first != source

    def state(self, logs: dict[int, str]) -> dict[str, Any]:
        """Return the memory as JSON types; *logs* names the sources in a way that lasts."""
        seen = {**self._older, **self._recent}
        return {
            "turn_us": self._turn_us,
            "seen": {name: logs[source] for name, source in seen.items() if source in logs},
        }

    def restore(self, state: dict[str, Any], sources: dict[str, int]) -> None:
        """Go on from *state*; *sources* tells what the logs' numbers are now.

        Raises:
            KeyError, TypeError: It is no state.
        """
        self._turn_us = int(state["turn_us"])
        # A log that is not among the given ones can have no second say.
        self._recent = {name: sources.get(log, -1) for name, log in state["seen"].items()}


def _digest(entry: VaultEntry) -> str:
    """Digest what all devices write alike: neither times nor what each hashes with its own salt."""
    content = (
        entry.operation,
        entry.path,
        entry.mount_type,
        entry.role,
        entry.policies,
        entry.display_name,
        entry.remote_address,
        entry.request_id,
        entry.lease,
        entry.app,
        entry.key,
        entry.data_fields,
        entry.issued_policies,
        bool(entry.error),
        entry.has_answer_data,
    )
    return hashlib.blake2b(repr(content).encode(), digest_size=_DIGEST_BYTES).hexdigest()
