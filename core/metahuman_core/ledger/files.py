"""What the files say: the half of the ledger that follows the memory folders.

Invariants: a file is read again only if (mtime_ns, size, inode) changed; a memory is its content's hash; a memory that
no slot (file and unit) says any more is superseded, and one whose file vanished or broke stays as it was.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.ledger.database import NEARLY_THE_SAME, count, transaction
from metahuman_core.memories.model import Memory, Skipped
from metahuman_core.memories.read import Limits, read
from metahuman_core.memories.walk import FoundFile, walk

_FILES_PER_COMMIT = 500
_PAGES = (".md", ".markdown", ".txt")


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a scan met: files there are, files read because they changed, memories never seen before."""

    files: int
    files_read: int
    new_memories: int
    skipped: int


class Files:
    """The files that were seen, the memories in them, and what was set aside."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def scan(self, folders: Sequence[tuple[str, Path]], limits: Limits) -> ScanReport:
        """Bring the ledger up to what lies in `folders` (a label for `source`, and the folder)."""
        found: list[tuple[str, FoundFile]] = []
        set_aside: set[str] = set()
        with transaction(self._db):
            for label, folder in folders:
                for item in walk(folder):
                    source = f"{label}/{item.source}"
                    if isinstance(item, Skipped):
                        self._skip(Skipped(source, item.reason, item.unit))
                        set_aside.add(source)
                    else:
                        found.append((source, item))
            self._forget_skipped([label for label, _ in folders], set_aside | {source for source, _ in found})
        changed = [(source, file) for source, file in found if not self._is_known(source, file)]
        new = 0
        for start in range(0, len(changed), _FILES_PER_COMMIT):
            with transaction(self._db):
                for source, file in changed[start : start + _FILES_PER_COMMIT]:
                    new += self._read_file(source, file, limits)
        return ScanReport(len(found), len(changed), new, count(self._db, "SELECT count(*) FROM skipped"))

    def _forget_skipped(self, labels: Sequence[str], there: set[str]) -> None:
        """What was set aside and is gone needs no reason any more; a folder that is not there today keeps its own."""
        for (source,) in self._db.execute("SELECT DISTINCT source FROM skipped").fetchall():
            if source not in there and any(source.startswith(f"{label}/") for label in labels):
                self._db.execute("DELETE FROM skipped WHERE source = ?", (source,))

    def _is_known(self, source: str, file: FoundFile) -> bool:
        row = self._db.execute("SELECT mtime_ns, size, inode FROM files WHERE source = ?", (source,)).fetchone()
        return bool(row == (file.mtime_ns, file.size_bytes, file.inode))

    def _read_file(self, source: str, file: FoundFile, limits: Limits) -> int:
        self._db.execute("DELETE FROM skipped WHERE source = ?", (source,))
        new = 0
        units: set[str] = set()
        whole = True
        for item in read(file, limits):
            if isinstance(item, Skipped):
                self._skip(Skipped(source, item.reason, item.unit))
                whole = False
                continue
            new += self._add(source, item)
            units.add(item.unit)
        if whole and file.path.suffix.lower() in _PAGES:
            self._leave(source, units)
        self._db.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (source, file.mtime_ns, file.size_bytes, file.inode)
        )
        return new

    def _leave(self, source: str, units: set[str]) -> None:
        """Sections that a page no longer has are superseded. (An export that has shrunk takes nothing with it.)"""
        for (unit,) in self._db.execute("SELECT unit FROM slots WHERE source = ?", (source,)).fetchall():
            if unit not in units:
                self._db.execute("DELETE FROM slots WHERE source = ? AND unit = ?", (source, unit))
                self._reopen_duplicates()

    def _reopen_duplicates(self) -> None:
        """What was nearly the same as a memory that is superseded now may be the one that counts."""
        self._db.execute("UPDATE memories SET settled = '', settled_under = '' WHERE settled = ?", (NEARLY_THE_SAME,))

    def _skip(self, item: Skipped) -> None:
        self._db.execute("INSERT OR REPLACE INTO skipped VALUES (?, ?, ?)", (item.source, item.unit, item.reason))

    def _add(self, source: str, memory: Memory) -> int:
        digest = memory.digest
        when = memory.happened_at.isoformat() if memory.happened_at else None
        body = json.dumps([[t.role, t.text] for t in memory.turns] if memory.turns else memory.text, ensure_ascii=False)
        added = self._db.execute(
            "INSERT OR IGNORE INTO memories (digest, source, unit, kind, mode, happened_at, title, tags, body, unfit)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                digest,
                source,
                memory.unit,
                memory.kind,
                memory.mode,
                when,
                memory.title,
                json.dumps(memory.tags),
                body,
                memory.unfit,
            ),
        ).rowcount
        if not added:
            # Flags may have changed though the text did not: whether it may be trained is as the file says today.
            self._db.execute(
                "UPDATE memories SET unfit = ?, settled_under = '' WHERE digest = ? AND unfit <> ?",
                (memory.unfit, digest, memory.unfit),
            )
        slot = self._db.execute(
            "SELECT digest FROM slots WHERE source = ? AND unit = ?", (source, memory.unit)
        ).fetchone()
        if slot != (digest,):
            self._db.execute("INSERT OR REPLACE INTO slots VALUES (?, ?, ?)", (source, memory.unit, digest))
            if slot is not None:
                self._reopen_duplicates()
        return added

    def skipped(self) -> list[Skipped]:
        """Everything that was set aside, with its reason."""
        rows = self._db.execute("SELECT source, reason, unit FROM skipped ORDER BY source, unit")
        return [Skipped(source, reason, unit) for source, reason, unit in rows]
