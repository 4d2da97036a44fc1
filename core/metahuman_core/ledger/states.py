"""The states of memories: known, settled, due, trained by which runs, superseded.

Invariant: what was trained is taken from the registered versions' own folders, so that a ledger that is lost can be
made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from metahuman_core.ledger.database import count, open_database, transaction
from metahuman_core.ledger.files import Files, ScanReport
from metahuman_core.memories.model import Memory, Skipped, Turn
from metahuman_core.memories.read import Limits


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
        self._db = open_database(path)
        self._files = Files(self._db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    # --- what the files say -------------------------------------------------------------------------------------

    def scan(self, folders: Sequence[tuple[str, Path]], limits: Limits) -> ScanReport:
        """Bring the ledger up to what lies in `folders` (a label for `source`, and the folder)."""
        return self._files.scan(folders, limits)

    def skipped(self) -> list[Skipped]:
        """Everything that was set aside, with its reason."""
        return self._files.skipped()

    # --- what was decided ---------------------------------------------------------------------------------------

    def unsettled_under(self, settings_sha256: str) -> list[Memory]:
        """Memories that were not judged under these settings."""
        return list(self._memories("settled_under <> ?", (settings_sha256,)))

    def kept(self) -> Iterator[Memory]:
        """Memories that were judged and are not settled, superseded ones left out."""
        return self._memories(_CURRENT, ())

    def settle(self, verdicts: Iterable[tuple[str, str]], settings_sha256: str) -> None:
        """Write down (digest, reason) for what was judged; an empty reason: it counts."""
        with transaction(self._db):
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
        if count(self._db, "SELECT count(*) FROM adopted WHERE run_label = ?", (run_label,)) or not memories.is_file():
            return
        with memories.open(encoding="utf-8") as lines:
            digests = {str(json.loads(line)["memory"]) for line in lines}
        with transaction(self._db):
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
        of = "SELECT count(*) FROM memories WHERE "
        return Counts(
            known=count(self._db, "SELECT count(*) FROM memories"),
            due=count(self._db, f"{of}{_CURRENT} AND digest NOT IN ({_trained(ancestry)})", ancestry),
            settled=count(self._db, f"{of}settled <> ''"),
            superseded=count(self._db, f"{of}digest NOT IN (SELECT digest FROM slots)"),  # noqa: S608
            trained=count(self._db, f"{of}digest IN ({_trained(ancestry)})", ancestry),
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
