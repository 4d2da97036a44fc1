"""Files that were there and are not: which, and since when that is known.

Invariants: a file counts as gone only where its folder was listed without it, or the folder's own folder without that:
a root that is missing is no file that is gone. What such a file said stays what it was; it is superseded only when the
same words stood in another file too (the file was renamed, or copied), and that one says something else now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime


class Gone:
    """The rows of files that are gone. All that changes something wants a transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def note(self, source: str) -> None:
        """A file that said something is not there any more."""
        said = self._db.execute("SELECT 1 FROM slots WHERE source = ? LIMIT 1", (source,)).fetchone()
        if said is not None:
            self._db.execute("INSERT OR IGNORE INTO gone VALUES (?, '')", (source,))

    def note_below(self, folder: str) -> None:
        """A folder is not there any more: all that it held is gone."""
        sql = "SELECT folder, name FROM files WHERE folder = ? OR folder > ? AND folder < ?"
        for above, name in self._db.execute(sql, (folder, *below(folder))).fetchall():
            self.note(f"{above}/{name}")

    def is_back(self, source: str) -> None:
        """A file is there (again)."""
        self._db.execute("DELETE FROM gone WHERE source = ?", (source,))

    def say_no_more(self, digest: str) -> None:
        """A file that said a memory says something else: what said it too and is gone counts no more."""
        others = "SELECT 1 FROM slots WHERE digest = ? AND source NOT IN (SELECT source FROM gone)"
        if self._db.execute(others, (digest,)).fetchone() is None:
            self._db.execute("DELETE FROM slots WHERE digest = ?", (digest,))

    def date(self, at: datetime) -> None:
        """What is gone and was not before has been so since `at`."""
        self._db.execute("UPDATE gone SET since = ? WHERE since = ''", (at.isoformat(),))

    def since(self) -> Mapping[str, datetime | None]:
        """The files that are gone, with the time since which that is known."""
        rows = self._db.execute("SELECT source, since FROM gone")
        return {source: datetime.fromisoformat(since) if since else None for source, since in rows}

    def lost(self, sources: Collection[str]) -> tuple[list[str], int]:
        """What these files said, and nobody else does; with what they had said before that: digests, in order. With
        how many of the files said such: one that was moved did not.
        """
        is_lost: dict[str, bool] = {}
        left: set[str] = set()
        for source in sources:
            for (digest,) in self._db.execute("SELECT DISTINCT digest FROM slots WHERE source = ?", (source,)):
                if digest not in is_lost:
                    said_by = self._db.execute("SELECT source FROM slots WHERE digest = ?", (digest,))
                    is_lost[digest] = all(one in sources for (one,) in said_by)
                if is_lost[digest]:
                    left.add(source)
        found = {digest for digest, lost in is_lost.items() if lost}
        if left:
            before = self._db.execute(
                "SELECT digest, source FROM memories"
                " WHERE NOT EXISTS (SELECT 1 FROM slots WHERE slots.digest = memories.digest)"
            )
            found |= {digest for digest, source in before if source in left}
        return sorted(found), len(left)

    def count(self) -> int:
        """How many memories stand in no file but such as are gone."""
        sql = (
            "SELECT count(*) FROM (SELECT DISTINCT digest FROM gone JOIN slots USING (source)) AS lost"
            " WHERE NOT EXISTS (SELECT 1 FROM slots WHERE slots.digest = lost.digest"
            " AND slots.source NOT IN (SELECT source FROM gone))"
        )
        return int(self._db.execute(sql).fetchone()[0])


def below(folder: str) -> tuple[str, str]:
    """Bounds of all sources below a folder: "0" is the sign after "/"."""
    return f"{folder}/", f"{folder}0"
