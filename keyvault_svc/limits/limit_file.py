"""The file of limits: how it is opened, what is in it, and what is wrong with it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_APPLICATION_ID: Final = 0x4B65_7974  # "Keyt": tells the file from other SQLite databases
_SCHEMA_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE lease (
  owner TEXT, lease_id TEXT, forget_us INTEGER NOT NULL, open TEXT, note TEXT NOT NULL,
  PRIMARY KEY (owner, lease_id)
);
CREATE TABLE call (
  owner TEXT, scope TEXT, subject TEXT, lease_id TEXT, forget_us INTEGER NOT NULL,
  PRIMARY KEY (owner, scope, subject, lease_id)
);
CREATE TABLE counter (
  owner TEXT, scope TEXT, subject TEXT, kind TEXT, begin_us INTEGER, forget_us INTEGER NOT NULL,
  used INTEGER NOT NULL, held INTEGER NOT NULL, warned INTEGER NOT NULL,
  PRIMARY KEY (owner, scope, subject, kind, begin_us)
);
CREATE TABLE usage (
  owner TEXT, day TEXT, key_id TEXT, grant_id TEXT, app TEXT, model TEXT, member TEXT,
  forget_us INTEGER NOT NULL, requests INTEGER NOT NULL, input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL, micro_usd INTEGER NOT NULL, unpriced_requests INTEGER NOT NULL,
  PRIMARY KEY (owner, day, key_id, grant_id, app, model, member)
);
CREATE TABLE usage_day (
  owner TEXT, day TEXT, forget_us INTEGER NOT NULL, row_count INTEGER NOT NULL,
  PRIMARY KEY (owner, day)
);
CREATE TABLE network (
  owner TEXT, grant_id TEXT, network TEXT, forget_us INTEGER NOT NULL,
  PRIMARY KEY (owner, grant_id, network)
);
CREATE TABLE subject (
  owner TEXT, subject TEXT, forget_us INTEGER NOT NULL,
  PRIMARY KEY (owner, subject)
);
"""
_SINCE_VERSION_2: Final = """
CREATE TABLE baseline (
  owner TEXT, grant_id TEXT, word TEXT, forget_us INTEGER NOT NULL, value INTEGER NOT NULL,
  PRIMARY KEY (owner, grant_id, word)
);
"""
_FIRST_TABLES: Final = ("lease", "call", "counter", "usage", "usage_day", "network", "subject")
_TABLES_SINCE_VERSION_2: Final = ("baseline",)
TABLES: Final = (*_FIRST_TABLES, *_TABLES_SINCE_VERSION_2)

_IN_MEMORY: Final = ":memory:"
_DAMAGED: Final = (
    "is damaged, or is no file of limits. Stop the service, restore the file from a backup or move "
    "it and its -wal file away, and start again: without it, what was spent in the windows that "
    "have begun is forgotten, and so is the usage"
)


class LimitFileError(Exception):
    """The file of limits cannot be used. The text names the file, and says what to do."""


def open_limit_file(path: Path | None) -> sqlite3.Connection:
    """Open the file at *path*, or a database in memory for None.

    The connection may be used by one thread at a time, whichever it is. While it is open no other
    process can open the file, so that two replicas cannot count apart; a killed process holds it no
    longer.

    Raises:
        LimitFileError: It cannot be opened, is damaged, in use, or of a newer version.
    """
    if path is not None:
        _create_private(path)
    connection = sqlite3.connect(
        path or _IN_MEMORY, timeout=0, isolation_level=None, check_same_thread=False
    )
    problem = ""
    try:
        _prepare(connection)
    except LimitFileError as error:
        problem = str(error)
    except sqlite3.Error as error:
        problem = _problem(error)
    if problem:
        connection.close()
        raise LimitFileError(f"{path}: {problem}")
    return connection


def _create_private(path: Path) -> None:
    """Create the file for this account only, unless it is there; SQLite's own files follow it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise LimitFileError(f"{path}: {error.strerror}") from error


def _prepare(connection: sqlite3.Connection) -> None:
    execute = connection.execute
    execute("PRAGMA locking_mode=EXCLUSIVE")  # before the log is used: it then needs no shared one
    execute("PRAGMA journal_mode=WAL")
    # With NORMAL a power cut takes back the last commits, and with them spend whose key was handed
    # out already. FULL syncs at each commit; commits are made for all that wait at once.
    execute("PRAGMA synchronous=FULL")
    execute("PRAGMA fullfsync=ON")  # macOS: through the disk's cache, too
    execute("BEGIN IMMEDIATE")
    (application_id,) = execute("PRAGMA application_id").fetchone()
    (version,) = execute("PRAGMA user_version").fetchone()
    (tables,) = execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (application_id, version, tables) == (0, 0, 0):
        _create_tables(connection, _SCHEMA, _FIRST_TABLES)
        version = 1
    elif application_id != _APPLICATION_ID:
        raise LimitFileError(_DAMAGED)
    if version == 1:
        _create_tables(connection, _SINCE_VERSION_2, _TABLES_SINCE_VERSION_2)
    elif version != _SCHEMA_VERSION:
        raise LimitFileError(
            f"is of version {version}, and this release knows {_SCHEMA_VERSION}. "
            "Start the release that wrote it"
        )
    execute("COMMIT")
    if execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise LimitFileError(_DAMAGED)


def _create_tables(connection: sqlite3.Connection, schema: str, tables: Sequence[str]) -> None:
    for statement in schema.split(";\n"):
        connection.execute(statement)
    for table in tables:
        connection.execute(f"CREATE INDEX {table}_forget ON {table} (forget_us)")
    connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")


def _problem(error: sqlite3.Error) -> str:
    """Return what is wrong, without what is in the file."""
    code = error.sqlite_errorcode & 0xFF  # the primary one
    if code == sqlite3.SQLITE_BUSY:
        return (
            "is in use by another process. A file of limits serves one replica: stop the other, or "
            "keep limits in Redis or Valkey"
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return _DAMAGED
    return f"cannot be opened ({error.sqlite_errorname})"
