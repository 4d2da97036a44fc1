"""The ledger: which files were seen, what they say, and which runs trained it (SQLite, one per profile).

Invariants: a file is read again only if (mtime_ns, size, inode) changed; a memory is its content's hash; a memory that
no slot (file and unit) says any more is superseded, and one whose file vanished or broke stays as it was. What was
trained is taken from the registered versions' own folders, so that a ledger that is lost can be made again.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from metahuman_core.errors import MetahumanError
from metahuman_core.memories.model import Memory, Skipped, Turn
from metahuman_core.memories.read import Limits, read
from metahuman_core.memories.walk import FoundFile, walk

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
_FILES_PER_COMMIT = 500
_PAGES = (".md", ".markdown", ".txt")
NEARLY_THE_SAME = "nearly the same as another memory"
"""The reason by which a near duplicate is settled."""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a scan met: files there are, files read because they changed, memories never seen before."""

    files: int
    files_read: int
    new_memories: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many memories are in which state, for one ancestry."""

    known: int
    due: int
    settled: int
    superseded: int
    trained: int


class Ledger:
    """One profile's ledger. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            if self._count("PRAGMA user_version") != _SCHEMA_VERSION:
                self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._db.close()
            broken = not isinstance(error, sqlite3.OperationalError)  # and not merely locked, or the disk full
            hint = "move it away: it is made again from the memory files and the runs" if broken else ""
            raise MetahumanError(f"the ledger {path} cannot be used: {error}", hint) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # SQLite itself rolls back where the disk is full
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- what the files say -------------------------------------------------------------------------------------

    def scan(self, folders: Sequence[tuple[str, Path]], limits: Limits) -> ScanReport:
        """Bring the ledger up to what lies in `folders` (a label for `source`, and the folder)."""
        found: list[tuple[str, FoundFile]] = []
        set_aside: set[str] = set()
        with self._transaction():
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
            with self._transaction():
                for source, file in changed[start : start + _FILES_PER_COMMIT]:
                    new += self._read_file(source, file, limits)
        return ScanReport(len(found), len(changed), new, self._count("SELECT count(*) FROM skipped"))

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

    # --- what was decided ---------------------------------------------------------------------------------------

    def unsettled_under(self, settings_sha256: str) -> list[Memory]:
        """Memories that were not judged under these settings."""
        return list(self._memories("settled_under <> ?", (settings_sha256,)))

    def kept(self) -> Iterator[Memory]:
        """Memories that were judged and are not settled, superseded ones left out."""
        return self._memories("settled = '' AND settled_under <> '' AND digest IN (SELECT digest FROM slots)", ())

    def settle(self, verdicts: Iterable[tuple[str, str]], settings_sha256: str) -> None:
        """Write down (digest, reason) for what was judged; an empty reason: it counts."""
        with self._transaction():
            self._db.executemany(
                "UPDATE memories SET settled = ?, settled_under = ? WHERE digest = ?",
                ((reason, settings_sha256, digest) for digest, reason in verdicts),
            )

    def settled_reasons(self) -> dict[str, int]:
        """How many memories were settled for each reason."""
        return dict(self._db.execute("SELECT settled, count(*) FROM memories WHERE settled <> '' GROUP BY settled"))

    # --- what was trained ---------------------------------------------------------------------------------------

    def adopt(self, run_label: str, memories: Path) -> None:
        """Note what a registered version trained, from its run's `memories.jsonl`. Done once for each run."""
        if self._count("SELECT count(*) FROM adopted WHERE run_label = ?", (run_label,)) or not memories.is_file():
            return
        with memories.open(encoding="utf-8") as lines:
            digests = {str(json.loads(line)["memory"]) for line in lines}
        with self._transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO trainings VALUES (?, ?)", ((d, run_label) for d in sorted(digests))
            )
            self._db.execute("INSERT OR IGNORE INTO adopted VALUES (?)", (run_label,))

    def due(self, ancestry: Sequence[str]) -> list[Memory]:
        """What no run of the ancestry (run labels) has trained and nothing settles, oldest first."""
        return list(self._memories(f"{_CURRENT} AND digest NOT IN ({_trained(ancestry)})", ancestry))

    def trained(self, ancestry: Sequence[str]) -> list[tuple[str, Memory]]:
        """What the ancestry has trained and still holds, with the first run of the ancestry that trained it."""
        result = []
        for memory in self._memories(f"{_CURRENT} AND digest IN ({_trained(ancestry)})", ancestry):
            first = self._db.execute(
                f"SELECT min(run_label) FROM trainings WHERE digest = ? AND run_label IN ({_marks(ancestry)})",  # noqa: S608
                (memory.digest, *ancestry),
            ).fetchone()[0]
            result.append((str(first), memory))
        return result

    def trained_digests(self, ancestry: Sequence[str]) -> set[str]:
        """All that the ancestry has trained, superseded or not."""
        return {str(row[0]) for row in self._db.execute(_trained(ancestry), tuple(ancestry))}

    def counts(self, ancestry: Sequence[str]) -> Counts:
        """The states of all memories, for one ancestry."""
        count = "SELECT count(*) FROM memories WHERE "
        return Counts(
            known=self._count("SELECT count(*) FROM memories"),
            due=self._count(f"{count}{_CURRENT} AND digest NOT IN ({_trained(ancestry)})", ancestry),
            settled=self._count(f"{count}settled <> ''"),
            superseded=self._count(f"{count}digest NOT IN (SELECT digest FROM slots)"),  # noqa: S608
            trained=self._count(f"{count}digest IN ({_trained(ancestry)})", ancestry),
        )

    def _count(self, sql: str, values: Sequence[str] = ()) -> int:
        return int(self._db.execute(sql, tuple(values)).fetchone()[0])

    def _memories(self, where: str, values: Sequence[str]) -> Iterator[Memory]:
        columns = "source, unit, kind, mode, happened_at, title, tags, body, unfit"
        order = "ORDER BY coalesce(julianday(happened_at), 0), digest"  # by the moment, whatever the time zone
        sql = f"SELECT {columns} FROM memories WHERE {where} {order}"  # noqa: S608  # all three are our own words
        for row in self._db.execute(sql, tuple(values)):
            yield _memory(*row)


_CURRENT = "settled = '' AND settled_under <> '' AND digest IN (SELECT digest FROM slots)"


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _trained(ancestry: Sequence[str]) -> str:
    return f"SELECT digest FROM trainings WHERE run_label IN ({_marks(ancestry)})"  # noqa: S608


def _memory(
    source: str, unit: str, kind: str, mode: str, when: str | None, title: str, tags: str, body: str, unfit: str
) -> Memory:
    said = json.loads(body)
    return Memory(
        source=source,
        unit=unit,
        kind=kind,
        mode=mode,  # type: ignore[arg-type]  # written from a Memory
        happened_at=datetime.fromisoformat(when) if when else None,
        turns=tuple(Turn(role, text) for role, text in said) if isinstance(said, list) else (),
        text=said if isinstance(said, str) else "",
        tags=tuple(json.loads(tags)),
        title=title,
        unfit=unfit,
    )
