"""The ledger's file: an SQLite database of one profile, its tables, and its transactions.

Invariant: no transaction lasts longer than writing what was read before it began. Two processes use the ledger, the
daemon and the command line, and the one must never wait while the other reads memory files.

It keeps SQLite's rollback journal. A write-ahead log would let `status` read during a commit, but its index is shared
memory, which a network file system does not have; it cannot be read where nothing may be written; and who copies the
database alone loses what is still in the log. What it would save is a wait of one commit: tens of milliseconds.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from metahuman_core.errors import MetahumanError

_SCHEMA_VERSION = 3
_SCHEMA = """
CREATE TABLE files (
    folder TEXT NOT NULL, name TEXT NOT NULL, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, inode INTEGER NOT NULL,
    PRIMARY KEY (folder, name)) WITHOUT ROWID;
CREATE TABLE folders (
    source TEXT PRIMARY KEY, digest BLOB NOT NULL, files INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE grams (
    gram INTEGER NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (gram, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS skipped (
    source TEXT NOT NULL, unit TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (source, unit));
CREATE TABLE IF NOT EXISTS slots (
    source TEXT NOT NULL, unit TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (source, unit));
CREATE INDEX IF NOT EXISTS slots_digest ON slots (digest);
CREATE TABLE IF NOT EXISTS memories (
    digest TEXT PRIMARY KEY, source TEXT NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL, mode TEXT NOT NULL,
    happened_at TEXT, title TEXT NOT NULL, tags TEXT NOT NULL, body TEXT NOT NULL, unfit TEXT NOT NULL,
    settled TEXT NOT NULL DEFAULT '', settled_under TEXT NOT NULL DEFAULT '');
CREATE INDEX memories_settled ON memories (settled) WHERE settled <> '';
CREATE INDEX memories_kept ON memories (digest) WHERE settled = '' AND settled_under <> '';
CREATE INDEX memories_judged ON memories (settled_under);
CREATE TABLE IF NOT EXISTS trainings (
    digest TEXT NOT NULL, run_label TEXT NOT NULL, PRIMARY KEY (digest, run_label));
CREATE TABLE IF NOT EXISTS adopted (run_label TEXT PRIMARY KEY);
"""
_OF_FORGETTING = """
CREATE TABLE erased (digest TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE gone (source TEXT PRIMARY KEY, since TEXT NOT NULL) WITHOUT ROWID;
"""
_FROM_VERSION_1 = """
DROP TABLE files;
UPDATE memories SET settled_under = '';
"""
"""All files are read again (a memory that is known stays as it is), and all is judged again (which makes the grams)."""
_FROM_VERSION_2 = """
WITH placed AS (SELECT DISTINCT source, rtrim(source, replace(source, '/', '')) AS above FROM slots)
INSERT INTO gone SELECT source, '' FROM placed
WHERE NOT EXISTS (SELECT 1 FROM files
    WHERE folder = substr(above, 1, length(above) - 1) AND name = substr(source, length(above) + 1))
AND NOT EXISTS (SELECT 1 FROM skipped WHERE skipped.source = placed.source)
AND NOT EXISTS (SELECT 1 FROM folders WHERE folders.source = substr(above, 1, length(above) - 1) AND digest = x'');
"""
"""What a file said that was there and is not: its folder was read, and it is neither known nor set aside."""

_CACHE_KIB = 16_384  # a full batch fits: what spills out of the cache locks readers out until the commit
_CHANGES_AT_A_TIME = 2000
_BYTES_AT_A_TIME = 8 << 20

NEARLY_THE_SAME = "nearly the same as another memory"
"""The reason by which a near duplicate is settled."""


def open_database(path: Path | None) -> sqlite3.Connection:
    """Open the ledger, made if it is not there, for its owner alone. Raises MetahumanError if it cannot be used."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path or ":memory:", timeout=30, isolation_level=None)
    try:
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten: see `forgetting`
        if count(db, "PRAGMA user_version") != _SCHEMA_VERSION:
            with transaction(db):
                _migrate(db)
    except (sqlite3.Error, MetahumanError) as error:
        db.close()
        if isinstance(error, MetahumanError):
            raise MetahumanError(f"the ledger {path} {error}", error.hint) from None
        broken = not isinstance(error, sqlite3.OperationalError)  # and not merely locked, or the disk full
        again = "move it away: it is made again from the memory files and the runs; what was forgotten must be so again"
        hint = again if broken else ""
        raise MetahumanError(f"the ledger {path} cannot be used: {error}", hint) from error
    return db


def _migrate(db: sqlite3.Connection) -> None:
    version = count(db, "PRAGMA user_version")
    if version > _SCHEMA_VERSION:
        raise MetahumanError("was written by a newer version of this program", "use that one")
    if version == _SCHEMA_VERSION:
        return  # another process was quicker
    script = _OF_FORGETTING + f"PRAGMA user_version = {_SCHEMA_VERSION};"
    script = {0: _SCHEMA, 1: _FROM_VERSION_1 + _SCHEMA}.get(version, "") + script
    if version == 2:  # noqa: PLR2004
        script += _FROM_VERSION_2
    for statement in script.split(";"):  # not executescript, which commits first
        db.execute(statement)


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


class Changes:
    """Changes to the ledger, made in the order they were added, many in one short transaction.

    Nothing is locked while they are collected. Used as a context manager: what is left is written at its end, unless
    it ends with an error. A kill loses the last changes and never one that came before another which was kept.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._waiting: list[Callable[[], object]] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.write()

    def add(self, change: Callable[[], object], size_bytes: int = 0) -> None:
        """Remember a change, which keeps about `size_bytes` in memory until it is made."""
        self._waiting.append(change)
        self._bytes += size_bytes
        if len(self._waiting) >= _CHANGES_AT_A_TIME or self._bytes >= _BYTES_AT_A_TIME:
            self.write()

    def write(self) -> None:
        """Make all changes that wait."""
        if self._waiting:
            with transaction(self._db):
                for change in self._waiting:
                    change()
        self._waiting.clear()
        self._bytes = 0
