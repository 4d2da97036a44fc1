"""The folders that were looked at: each with one digest over all that lies in it.

Invariant: a folder's digest is kept only when everything in it was read as the digest saw it; an empty digest is like
none. A folder is called like a source: its label, and the path below it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from metahuman_core.ledger.database import count
from metahuman_core.ledger.gone import Gone, below


class Folders:
    """The rows of folders, and what goes when one is gone."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._gone = Gone(db)

    def digest(self, folder: str) -> bytes | None:
        """What the folder looked like when all of it was read, None for one that is not known."""
        row = self._db.execute("SELECT digest FROM folders WHERE source = ?", (folder,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, folder: str, digest: bytes, files: int) -> None:
        """Remember a folder, and how many files it has that may hold memories."""
        self._db.execute("INSERT OR REPLACE INTO folders VALUES (?, ?, ?)", (folder, digest, files))

    def look_again(self, folder: str) -> None:
        """Have the folder looked at again, whatever it looks like the next time."""
        self._db.execute("UPDATE folders SET digest = x'' WHERE source = ?", (folder,))

    def files(self, labels: Sequence[str]) -> int:
        """How many files there are in all folders below these labels."""
        sql = "SELECT coalesce(sum(files), 0) FROM folders WHERE source = ? OR source > ? AND source < ?"
        return sum(count(self._db, sql, (label, *below(label))) for label in labels)

    def gone(self, folder: str, there: Collection[str]) -> list[str]:
        """The known subfolders of a folder that are not among the names that are `there`."""
        inside = self._db.execute("SELECT source FROM folders WHERE source > ? AND source < ?", below(folder))
        names = {source[len(folder) + 1 :].partition("/")[0] for (source,) in inside}
        return [f"{folder}/{name}" for name in sorted(names.difference(there))]

    def forget(self, folder: str) -> None:
        """Forget a folder that is gone and all below it: its files, its reasons. What they said stays."""
        self._gone.note_below(folder)
        for table, column in (("folders", "source"), ("files", "folder"), ("skipped", "source")):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (folder,))  # noqa: S608  # both our own words
            self._db.execute(f"DELETE FROM {table} WHERE {column} > ? AND {column} < ?", below(folder))  # noqa: S608

    def stale_reasons(self, folder: str, files: Collection[str], folders: Collection[str]) -> list[str]:
        """The sources at or below a folder that were set aside and cannot be there any more.

        `files` and `folders` are the names that are there. A folder's own reason is that of its own look.
        """
        stale = []
        sql = "SELECT DISTINCT source FROM skipped WHERE source > ? AND source < ?"
        for (source,) in self._db.execute(sql, below(folder)):
            name, slash, _ = source[len(folder) + 1 :].partition("/")
            if name not in folders and (slash or name not in files):
                stale.append(source)
        return stale

    def has_reason(self, source: str) -> bool:
        """Whether something of that name was set aside."""
        return self._db.execute("SELECT 1 FROM skipped WHERE source = ?", (source,)).fetchone() is not None

    def was_read_under(self, limits: str) -> bool:
        """Whether these are the limits that all was read under."""
        return bool(self._db.execute("SELECT value FROM facts WHERE name = 'read under'").fetchone() == (limits,))

    def read_under(self, limits: str) -> None:
        """Under other limits, have all folders looked at again, and what was set aside read again. In a transaction."""
        for (source,) in self._db.execute("SELECT DISTINCT source FROM skipped").fetchall():
            folder, _, name = source.rpartition("/")
            self._db.execute("DELETE FROM files WHERE folder = ? AND name = ?", (folder, name))
        self._db.execute("UPDATE folders SET digest = x''")
        self._db.execute("INSERT OR REPLACE INTO facts VALUES ('read under', ?)", (limits,))
