"""What settlements leave in the file of limits beside counters: usage, networks and subjects."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, replace
from datetime import UTC, date, datetime, time

from keyvault_svc.domain.limit_store import KEEP_USAGE, Taken, UsageRow
from keyvault_svc.limits.counters import (
    KEEP_NETWORK,
    KEEP_SUBJECT,
    MAX_NETWORKS,
    MAX_USAGE_ROWS,
    OTHER_MODEL,
    clipped,
    stored_row,
    subject_digest,
    to_us,
)

_ADD_USAGE = """
UPDATE usage SET requests = requests + ?, input_tokens = input_tokens + ?,
  output_tokens = output_tokens + ?, micro_usd = micro_usd + ?,
  unpriced_requests = unpriced_requests + ?
WHERE owner = ? AND day = ? AND key_id = ? AND grant_id = ? AND app = ? AND model = ?
  AND member = ?
"""
_ADD_ROW = """
INSERT INTO usage_day VALUES (?, ?, ?, 1)
ON CONFLICT DO UPDATE SET row_count = row_count + 1
"""
_FORGET_NETWORKS = """
DELETE FROM network WHERE owner = ? AND grant_id = ? AND network IN (
  SELECT network FROM network WHERE owner = ? AND grant_id = ? AND network != ''
  ORDER BY forget_us DESC, network DESC LIMIT -1 OFFSET ?)
"""
_KEEP_NETWORK = """
INSERT INTO network VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET forget_us = max(forget_us, excluded.forget_us)
"""


def count_usage(db: sqlite3.Connection, owner: str, row: UsageRow) -> None:
    """Add *row* to the usage of its day; beyond the day's rows, under the model `other`."""
    row = stored_row(row)
    if _add(db, owner, row):
        return
    day = row.day.isoformat()
    (rows,) = db.execute(
        "SELECT row_count FROM usage_day WHERE owner = ? AND day = ?", (owner, day)
    ).fetchone() or (0,)
    if rows >= MAX_USAGE_ROWS:
        row = replace(row, model=OTHER_MODEL, member="")
        if _add(db, owner, row):
            return
    forget_us = to_us(datetime.combine(row.day, time(), UTC) + KEEP_USAGE)
    _, *words_and_amounts = astuple(row)
    words, amounts = words_and_amounts[:5], words_and_amounts[5:]
    db.execute(
        "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (owner, day, *words, forget_us, *amounts),
    )
    db.execute(_ADD_ROW, (owner, day, forget_us))


def usage_days(db: sqlite3.Connection, owner: str, since: date, until: date) -> list[str]:
    """Return the days of which there is usage."""
    days = db.execute(
        "SELECT day FROM usage_day WHERE owner = ? AND day BETWEEN ? AND ? ORDER BY day",
        (owner, since.isoformat(), until.isoformat()),
    )
    return [day for (day,) in days]


def usage_of(db: sqlite3.Connection, owner: str, day: str) -> list[UsageRow]:
    """Return the rows of one day."""
    rows = db.execute(
        "SELECT key_id, grant_id, app, model, member, requests, input_tokens, output_tokens, "
        "micro_usd, unpriced_requests FROM usage WHERE owner = ? AND day = ? "
        "ORDER BY key_id, grant_id, app, model, member",
        (owner, day),
    )
    return [UsageRow(date.fromisoformat(day), *row) for row in rows]


def is_repeated_subject(db: sqlite3.Connection, owner: str, subject: str, now: datetime) -> bool:
    """Remember *subject*; tell whether it was known."""
    digest = subject_digest(subject)
    known = db.execute(
        "SELECT 1 FROM subject WHERE owner = ? AND subject = ? AND forget_us > ?",
        (owner, digest, to_us(now)),
    ).fetchone()
    if known is None:
        db.execute(
            "INSERT OR REPLACE INTO subject VALUES (?, ?, ?)",
            (owner, digest, to_us(now + KEEP_SUBJECT)),
        )
    return known is not None


def note_use(db: sqlite3.Connection, owner: str, taken: Taken, now: datetime) -> tuple[bool, bool]:
    """Remember the grant's use; return whether it is the first, and from a new network."""
    if not taken.grant_id:
        return False, False
    grant_id, network, now_us = clipped(taken.grant_id), clipped(taken.network), to_us(now)
    known = {
        known
        for (known,) in db.execute(
            "SELECT network FROM network "
            "WHERE owner = ? AND grant_id = ? AND network IN ('', ?) AND forget_us > ?",
            (owner, grant_id, network, now_us),
        )
    }
    for used in {"", network}:  # the empty one stands for the grant itself
        db.execute(_KEEP_NETWORK, (owner, grant_id, used, to_us(now + KEEP_NETWORK)))
    if network and network not in known:
        db.execute(_FORGET_NETWORKS, (owner, grant_id, owner, grant_id, MAX_NETWORKS))
    is_first_use = "" not in known
    return is_first_use, not is_first_use and network not in known


def _add(db: sqlite3.Connection, owner: str, row: UsageRow) -> bool:
    """Add *row* to the stored one; return whether there is one."""
    day, *words_and_amounts = astuple(row)
    words, amounts = words_and_amounts[:5], words_and_amounts[5:]
    return db.execute(_ADD_USAGE, (*amounts, owner, day.isoformat(), *words)).rowcount == 1
