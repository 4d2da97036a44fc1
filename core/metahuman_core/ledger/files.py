"""What the files say: memories, the slots they stand in, and what was set aside.

Invariants: a file is read again only if (mtime_ns, size, inode) changed; a memory is its content's hash; a memory that
no slot (file and unit) says any more is superseded, and one whose file vanished or broke stays as it was; one that was
erased never comes back. A file's row is written after all that it says: killed in between, it is read again and nothing
is lost.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection
from functools import partial

from metahuman_core.ledger.database import Changes
from metahuman_core.ledger.gone import Gone
from metahuman_core.ledger.judging import reopen_duplicates
from metahuman_core.ledger.rows import COLUMNS, row_of
from metahuman_core.memories.model import Memory, Skipped
from metahuman_core.memories.opened import NO_PERMISSION
from metahuman_core.memories.origin import Limits
from metahuman_core.memories.walk import FoundFile

_PAGES = (".md", ".markdown", ".txt")
_LARGEST_INTEGER = (1 << 63) - 1


class Files:
    """Reads the files that changed, and remembers them, through `changes`."""

    def __init__(self, db: sqlite3.Connection, changes: Changes, limits: Limits) -> None:
        self._db = db
        self._changes = changes
        self._limits = limits
        self._gone = Gone(db)
        self.read = 0
        self.new_memories = 0

    def is_known(self, folder: str, name: str, status: os.stat_result) -> bool:
        """Whether the file was read as it is now."""
        row = self._db.execute(
            "SELECT mtime_ns, size, inode FROM files WHERE folder = ? AND name = ?", (folder, name)
        ).fetchone()
        return bool(row == (_storable(status.st_mtime_ns), status.st_size, _storable(status.st_ino)))

    def forget_others(self, folder: str, files: Collection[str], there: Collection[str]) -> None:
        """Forget the files of a folder that are not read any more. (What they said stays.)

        `there`: the names that are there, read or set aside; `files`: those that may be read.
        """
        for (name,) in self._db.execute("SELECT name FROM files WHERE folder = ?", (folder,)):
            if name not in files:
                self._changes.add(partial(self._forget, f"{folder}/{name}"))
            if name not in there:
                self._changes.add(partial(self._gone.note, f"{folder}/{name}"))

    def set_aside(self, source: str, reason: str = "") -> None:
        """Write down why something is not read; without a reason, that there is none any more."""
        self._changes.add(partial(self._clear, source))
        if reason:
            self._changes.add(partial(self._skip, source, Skipped(source, reason)))

    def read_file(self, source: str, found: FoundFile) -> None:
        """Take what a file says."""
        from metahuman_core.memories.read import read  # where a file is new: the readers of all shapes are many modules

        self.read += 1
        self._changes.add(partial(self._clear, source))
        self._changes.add(partial(self._gone.is_back, source))
        units: set[str] = set()
        whole, refused = True, False
        for item in read(found, self._limits):
            if isinstance(item, Skipped):
                self._changes.add(partial(self._skip, source, item))
                whole = False
                refused = item.reason == NO_PERMISSION
            else:
                self._changes.add(partial(self._take, source, item), _size_bytes(item))
                units.add(item.unit)
        if whole and found.path.suffix.lower() in _PAGES:
            self._changes.add(partial(self._leave, source, units))
        # Being allowed to read a file changes nothing by which it is known: it is tried whenever its folder changed.
        self._changes.add(partial(self._forget, source) if refused else partial(self._remember, source, found))

    def _remember(self, source: str, found: FoundFile) -> None:
        folder, _, name = source.rpartition("/")
        self._db.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
            (folder, name, _storable(found.mtime_ns), found.size_bytes, _storable(found.inode)),
        )

    def _forget(self, source: str) -> None:
        folder, _, name = source.rpartition("/")
        self._db.execute("DELETE FROM files WHERE folder = ? AND name = ?", (folder, name))

    def _clear(self, source: str) -> None:
        self._db.execute("DELETE FROM skipped WHERE source = ?", (source,))

    def _skip(self, source: str, item: Skipped) -> None:
        self._db.execute("INSERT OR REPLACE INTO skipped VALUES (?, ?, ?)", (source, item.unit, item.reason))

    def _leave(self, source: str, units: set[str]) -> None:
        """Sections that a page no longer has are superseded. (An export that has shrunk takes nothing with it.)"""
        for (unit,) in self._db.execute("SELECT unit FROM slots WHERE source = ?", (source,)).fetchall():
            if unit not in units:
                self._empty(source, unit)

    def _empty(self, source: str, unit: str) -> None:
        """What stood in a slot stands there no more."""
        said = self._db.execute("SELECT digest FROM slots WHERE source = ? AND unit = ?", (source, unit)).fetchone()
        if said is not None:
            self._db.execute("DELETE FROM slots WHERE source = ? AND unit = ?", (source, unit))
            self._gone.say_no_more(said[0])
            reopen_duplicates(self._db)

    def _take(self, source: str, memory: Memory) -> None:
        digest, *_ = row = row_of(memory, source)
        if self._db.execute("SELECT 1 FROM erased WHERE digest = ?", (digest,)).fetchone():
            self._empty(source, memory.unit)
            return
        added = self._db.execute(
            f"INSERT OR IGNORE INTO memories (digest, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            row,
        ).rowcount
        self.new_memories += added
        if not added:
            # Flags may have changed though the text did not: whether it may be trained is as the file says today.
            self._db.execute(
                "UPDATE memories SET unfit = ?, settled_under = '' WHERE digest = ? AND unfit <> ?",
                (memory.unfit, digest, memory.unfit),
            )
        where = (source, memory.unit)
        slot = self._db.execute("SELECT digest FROM slots WHERE source = ? AND unit = ?", where).fetchone()
        if slot != (digest,):
            self._empty(*where)
            self._db.execute("INSERT INTO slots VALUES (?, ?, ?)", (*where, digest))


def _storable(number: int) -> int:
    """SQLite's integers have a sign; file systems number their files with 64 bits, and know times after 2262."""
    return number & _LARGEST_INTEGER


def _size_bytes(memory: Memory) -> int:
    return len(memory.text) + sum(len(turn.text) for turn in memory.turns)
