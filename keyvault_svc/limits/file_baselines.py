"""Baselines in the file of limits."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final

from keyvault_svc.domain.anomalies.baseline_store import KEEP_BASELINE, Change, Operation
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.counters import clipped, to_us
from keyvault_svc.limits.group_commit import GroupCommit

_STATEMENTS: Final[Mapping[Operation, str]] = MappingProxyType(
    {
        Operation.ADD: (
            "INSERT INTO baseline VALUES (:owner, :grant_id, :word, :forget_us, :value) "
            "ON CONFLICT DO UPDATE SET value = value + excluded.value, "
            "forget_us = max(forget_us, excluded.forget_us)"
        ),
        Operation.RAISE: (
            "INSERT INTO baseline VALUES (:owner, :grant_id, :word, :forget_us, :value) "
            "ON CONFLICT DO UPDATE SET value = max(value, excluded.value), "
            "forget_us = max(forget_us, excluded.forget_us)"
        ),
        Operation.CLAIM: (
            "INSERT INTO baseline VALUES (:owner, :grant_id, :word, :forget_us, :value) "
            "ON CONFLICT DO NOTHING"
        ),
        Operation.DROP: (
            "DELETE FROM baseline WHERE owner = :owner AND grant_id = :grant_id AND word = :word"
        ),
    }
)
_READ: Final = "SELECT word, value FROM baseline WHERE owner = ? AND grant_id = ?"


class FileBaselineStore:
    """`BaselineStore` beside the limits: a call takes its turn among those of leases."""

    def __init__(self, commits: GroupCommit) -> None:
        """Work in the file of *commits*, whose owner closes it."""
        self._commits = commits

    async def read(self, owner: OwnerName, grant_id: str) -> Mapping[str, int]:
        """See `BaselineStore.read`."""
        return await self._commits.run(partial(_read, owner=str(owner), grant_id=grant_id))

    async def change(
        self, owner: OwnerName, grant_id: str, changes: Sequence[Change], now: datetime
    ) -> Mapping[str, int]:
        """See `BaselineStore.change`."""
        return await self._commits.run(
            partial(
                _change,
                owner=str(owner),
                grant_id=grant_id,
                changes=changes,
                forget_us=to_us(now + KEEP_BASELINE),
            )
        )

    async def close(self) -> None:
        """See `BaselineStore.close`; the file is closed with the limits."""


def _read(db: sqlite3.Connection, owner: str, grant_id: str) -> Mapping[str, int]:
    return dict(db.execute(_READ, (owner, clipped(grant_id))).fetchall())


def _change(
    db: sqlite3.Connection, owner: str, grant_id: str, changes: Sequence[Change], forget_us: int
) -> Mapping[str, int]:
    for change in changes:
        db.execute(
            _STATEMENTS[change.operation],
            {
                "owner": owner,
                "grant_id": clipped(grant_id),
                "word": change.word,
                "value": change.value,
                "forget_us": forget_us,
            },
        )
    return _read(db, owner, grant_id)
