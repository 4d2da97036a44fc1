"""The ledger's file: an SQLite database of one profile, its tables, and its transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from metahuman_core.errors import MetahumanError

_SCHEMA_VERSION = 1
_SCHEMA = f"""
BEGIN;
CREATE TABLE IF NOT EXISTS files (
    source TEXT PRIMARY KEY, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, inode INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS skipped (
    source TEXT NOT NULL, unit TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (source, unit));
CREATE TABLE IF NOT EXISTS slots (
    source TEXT NOT NULL, unit TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (source, unit));
CREATE INDEX IF NOT EXISTS slots_digest ON slots (digest);
CREATE TABLE IF NOT EXISTS memories (
    digest TEXT PRIMARY KEY, source TEXT NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL, mode TEXT NOT NULL,
    happened_at TEXT, title TEXT NOT NULL, tags TEXT NOT NULL, body TEXT NOT NULL, unfit TEXT NOT NULL,
    settled TEXT NOT NULL DEFAULT '', settled_under TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS trainings (
    digest TEXT NOT NULL, run_label TEXT NOT NULL, PRIMARY KEY (digest, run_label));
CREATE TABLE IF NOT EXISTS adopted (run_label TEXT PRIMARY KEY);
PRAGMA user_version = {_SCHEMA_VERSION};
COMMIT;
"""
NEARLY_THE_SAME = "nearly the same as another memory"
"""The reason by which a near duplicate is settled."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the ledger, made if it is not there, for its owner alone. Raises MetahumanError if it cannot be used."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        if count(db, "PRAGMA user_version") != _SCHEMA_VERSION:
            db.executescript(_SCHEMA)
    except sqlite3.Error as error:
        db.close()
        broken = not isinstance(error, sqlite3.OperationalError)  # and not merely locked, or the disk full
        hint = "move it away: it is made again from the memory files and the runs" if broken else ""
        raise MetahumanError(f"the ledger {path} cannot be used: {error}", hint) from error
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:  # SQLite itself rolls back where the disk is full
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def count(db: sqlite3.Connection, sql: str, values: Sequence[str] = ()) -> int:
    """The one number that a query gives."""
    return int(db.execute(sql, tuple(values)).fetchone()[0])
