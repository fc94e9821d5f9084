"""Reserving and settling in the file of limits, as works of one transaction each."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from keyvault_svc.domain.limit_store import (
    Crossing,
    Exceeded,
    Held,
    KnownLease,
    Reservation,
    Settled,
    Taken,
)
from keyvault_svc.domain.limits import Amounts, LimitRef, Standing
from keyvault_svc.limits.counters import (
    KEEP_LEASE,
    Counter,
    OpenLease,
    repeated,
    repeated_row,
    to_us,
)
from keyvault_svc.limits.file_traces import count_usage, is_repeated_subject, note_use

_UPSERT = """
INSERT INTO counter (owner, scope, subject, kind, begin_us, forget_us, used, held, warned)
VALUES (?, ?, ?, ?, ?, ?, 0, ?, 0)
ON CONFLICT DO UPDATE SET held = held + excluded.held
"""
_SETTLE = """
UPDATE counter SET used = used + ?, held = max(held - ?, 0)
WHERE owner = ? AND scope = ? AND subject = ? AND kind = ? AND begin_us = ?
RETURNING used, held, warned
"""
_WARNED = """
UPDATE counter SET warned = ?
WHERE owner = ? AND scope = ? AND subject = ? AND kind = ? AND begin_us = ?
"""


def reserve(db: sqlite3.Connection, reservation: Reservation, now: datetime) -> Held | Exceeded:
    """Do `LimitStore.reserve`."""
    owner, now_us = str(reservation.owner), to_us(now)
    lease = OpenLease.of(reservation, now)
    if _is_known(db, owner, reservation.lease_id, now_us):
        return Held(standings(db, owner, reservation.limits, now))
    held: list[Standing] = []
    for counter in lease.counters:
        used, held_now, soonest_us = _read(db, owner, counter, now_us)
        amount = counter.amount(reservation.amounts)
        if used + held_now + amount > counter.limit:
            return counter.exceeded(used, held_now, amount, soonest_us)
        held.append(counter.standing(used, held_now + amount))
    end_us = to_us(reservation.end_time)
    for counter in lease.counters:
        if counter.is_calls:
            db.execute(
                "INSERT OR REPLACE INTO call VALUES (?, ?, ?, ?, ?)",
                (owner, counter.ref.scope, counter.ref.subject, reservation.lease_id, end_us),
            )
        else:
            amount = counter.amount(reservation.amounts)
            db.execute(_UPSERT, (*_key(owner, counter), counter.forget_us, amount))
    forget_us = to_us(reservation.end_time + KEEP_LEASE)
    db.execute(
        "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?)",
        (owner, reservation.lease_id, forget_us, lease.encode(), reservation.note),
    )
    return Held(tuple(held))


def settle(db: sqlite3.Connection, taken: Taken, now: datetime) -> Settled | None:
    """Do `LimitStore.settle`."""
    owner, now_us = str(taken.owner), to_us(now)
    closed = db.execute(
        "SELECT open FROM lease WHERE owner = ? AND lease_id = ? AND forget_us > ?",
        (owner, taken.lease_id, now_us),
    ).fetchone()
    if closed is None or closed[0] is None:
        return None
    db.execute(
        "UPDATE lease SET open = NULL WHERE owner = ? AND lease_id = ?", (owner, taken.lease_id)
    )
    lease = OpenLease.decode(closed[0])
    amounts, row = lease.charged(taken), taken.row
    if taken.subject and is_repeated_subject(db, owner, taken.subject, now):
        amounts, row = repeated(amounts), row and repeated_row(row)
    crossings = [_settle(db, taken, amounts, lease, counter) for counter in lease.live(now_us)]
    if row is not None:
        count_usage(db, owner, row)
    is_first_use, is_new_network = note_use(db, owner, taken, now)
    told = tuple(crossing for crossing in crossings if crossing is not None)
    return Settled(told, is_first_use, is_new_network)


def find(db: sqlite3.Connection, owner: str, lease_id: str) -> KnownLease | None:
    """Do `LimitStore.find`."""
    found = db.execute(
        "SELECT note, open IS NULL FROM lease WHERE owner = ? AND lease_id = ?", (owner, lease_id)
    ).fetchone()
    return None if found is None else KnownLease(found[0], bool(found[1]))


def standings(
    db: sqlite3.Connection, owner: str, limits: Sequence[LimitRef], now: datetime
) -> tuple[Standing, ...]:
    """Do `LimitStore.standings`."""
    counters = [Counter.of(ref, now) for ref in limits]
    return tuple(c.standing(*_read(db, owner, c, to_us(now))[:2]) for c in counters)


def _is_known(db: sqlite3.Connection, owner: str, lease_id: str, now_us: int) -> bool:
    return bool(
        db.execute(
            "SELECT 1 FROM lease WHERE owner = ? AND lease_id = ? AND forget_us > ?",
            (owner, lease_id, now_us),
        ).fetchone()
    )


def _key(owner: str, counter: Counter) -> tuple[str, str, str, str, int]:
    ref = counter.ref
    return owner, ref.scope, ref.subject, ref.kind, counter.begin_us


def _read(
    db: sqlite3.Connection, owner: str, counter: Counter, now_us: int
) -> tuple[int, int, int]:
    """Return what is used, what is held, and when the first call under way ends, or 0."""
    if counter.is_calls:
        calls, soonest_us = db.execute(
            "SELECT count(*), min(forget_us) FROM call "
            "WHERE owner = ? AND scope = ? AND subject = ? AND forget_us > ?",
            (owner, counter.ref.scope, counter.ref.subject, now_us),
        ).fetchone()
        return 0, calls, soonest_us or 0
    used, held = db.execute(
        "SELECT used, held FROM counter "
        "WHERE owner = ? AND scope = ? AND subject = ? AND kind = ? AND begin_us = ?",
        _key(owner, counter),
    ).fetchone() or (0, 0)
    return used, held, 0


def _settle(
    db: sqlite3.Connection, taken: Taken, amounts: Amounts, lease: OpenLease, counter: Counter
) -> Crossing | None:
    """Put *amounts* in place of what was reserved, in one counter."""
    owner = str(taken.owner)
    if counter.is_calls:
        db.execute(
            "DELETE FROM call WHERE owner = ? AND scope = ? AND subject = ? AND lease_id = ?",
            (owner, counter.ref.scope, counter.ref.subject, taken.lease_id),
        )
        return None
    amount, reserved = counter.amount(amounts), counter.amount(lease.amounts)
    key = _key(owner, counter)
    counted = db.execute(_SETTLE, (amount, reserved, *key)).fetchall()
    if not counted or not amount:
        return None
    used, held, warned = counted[0]
    reached = [
        percent
        for percent, threshold in counter.thresholds(taken.warning_percents)
        if used >= threshold and percent > warned
    ]
    if not reached:
        return None
    db.execute(_WARNED, (max(reached), *key))
    return Crossing(counter.standing(used, held), max(reached))
