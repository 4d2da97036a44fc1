"""The states of memories: known, settled, due, trained by which runs, superseded, erased.

Invariant: what was trained is taken from the registered versions' own folders, so that a ledger that is lost can be
made again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from metahuman_core.held import NOTHING_HELD, Held
from metahuman_core.ledger.database import count, open_database, transaction
from metahuman_core.ledger.folders import Folders
from metahuman_core.ledger.forgetting import Forgetting
from metahuman_core.ledger.gone import Gone
from metahuman_core.ledger.judging import OTHERWISE, Verdicts, judge_all, write_verdicts
from metahuman_core.ledger.rows import COLUMNS, CURRENT, OLDEST_FIRST, SAID, memory_of
from metahuman_core.ledger.scan import Scan, ScanReport, Steady
from metahuman_core.ledger.searching import Search
from metahuman_core.memories.model import Memory, Skipped, Trained
from metahuman_core.memories.origin import Limits


@dataclass(frozen=True, slots=True)
class Counts:
    """How many memories are in which state, for one ancestry.

    `deleted`: their files are gone, and they stay what they were; `erased`: only their hashes are known.
    """

    known: int
    due: int
    settled: int
    superseded: int
    trained: int
    held: int = 0
    deleted: int = 0
    erased: int = 0


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The file that says a memory, with its folder's label; not `current`: it says something else by now."""

    source: str
    current: bool


class Ledger:
    """One profile's ledger. Use as a context manager. Without a path it is held in memory and lost at the end."""

    def __init__(self, path: Path | None) -> None:
        self._db = open_database(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def let_go(self) -> None:
        """Give back the memory of pages that were read: 16 MiB that an idle daemon need not hold."""
        self._db.execute("PRAGMA shrink_memory")

    # --- what the files say -------------------------------------------------------------------------------------

    def scan(
        self,
        folders: Sequence[tuple[str, Path]],
        limits: Limits,
        *,
        only: Collection[Path] | None = None,
        steady: Steady | None = None,
    ) -> ScanReport:
        """Bring the ledger up to what lies in `folders` (a label for `source`, and the folder).

        `only`: look at just these folders below them, given by absolute paths, and at subfolders that are not known
        yet. `steady` is asked of each file that is new or changed; one that is not steady is left for later.
        """
        return Scan(self._db, limits, steady).run(folders, only)

    def skipped(self) -> list[Skipped]:
        """Everything that was set aside, with its reason."""
        rows = self._db.execute("SELECT source, reason, unit FROM skipped ORDER BY source, unit")
        return [Skipped(source, reason, unit) for source, reason, unit in rows]

    # --- what was decided ---------------------------------------------------------------------------------------

    def unsettled_under(self, settings_sha256: str) -> list[Memory]:
        """Memories that were not judged under these settings."""
        return list(self._memories(OTHERWISE, (settings_sha256, settings_sha256)))

    def judge(self, threshold: float, settings_sha256: str, verdicts: Verdicts) -> None:
        """Have all memories judged that were not judged under these settings, oldest first.

        `threshold` is the likeness from which on two are nearly the same, for the index that `verdicts` is given.
        """
        judge_all(self._db, threshold, settings_sha256, verdicts)

    def settle(self, verdicts: Iterable[tuple[str, str]], settings_sha256: str) -> None:
        """Write down (digest, reason) for what was judged; an empty reason: it counts."""
        with transaction(self._db):
            write_verdicts(self._db, verdicts, settings_sha256)

    def settled_reasons(self) -> dict[str, int]:
        """How many memories were settled for each reason."""
        return dict(self._db.execute("SELECT settled, count(*) FROM memories WHERE settled <> '' GROUP BY settled"))

    # --- what was trained ---------------------------------------------------------------------------------------

    def adopted(self) -> set[str]:
        """The runs (labels) of which it is noted what they trained."""
        return {str(row[0]) for row in self._db.execute("SELECT run_label FROM adopted")}

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

    def due(self, ancestry: Sequence[str], held: Held = NOTHING_HELD) -> list[Memory]:
        """What no run of the ancestry (run labels) has trained, nothing settles and nobody holds, oldest first."""
        return list(self._memories(*_due(ancestry, held)))

    def trained(self, ancestry: Sequence[str]) -> list[Trained]:
        """What the ancestry has trained and still holds, with the first and the last run of it that did."""
        of = f"FROM trainings WHERE digest = ? AND run_label IN ({_marks(ancestry)})"
        result = []
        for memory in self._memories(f"{CURRENT} AND {_trained_by(ancestry)}", ancestry):
            row = self._db.execute(f"SELECT min(run_label), max(run_label) {of}", (memory.digest, *ancestry)).fetchone()
            result.append(Trained(str(row[0]), str(row[1]), memory))
        return result

    def trained_digests(self, ancestry: Sequence[str]) -> set[str]:
        """All that the ancestry has trained, superseded or not."""
        sql = f"SELECT DISTINCT digest FROM trainings WHERE run_label IN ({_marks(ancestry)})"  # noqa: S608
        return {str(row[0]) for row in self._db.execute(sql, tuple(ancestry))}

    def counts(self, ancestry: Sequence[str], held: Held = NOTHING_HELD) -> Counts:
        """The states of all memories, for one ancestry."""
        # Each of them goes through an index in the order of digests, and so through the tables that it asks: a million
        # memories take one to two seconds, where asking in the order of rows took twenty.
        of = "SELECT count(*) FROM memories WHERE "
        due, values = _due(ancestry, held)
        return Counts(
            known=count(self._db, "SELECT count(*) FROM memories"),
            due=count(self._db, of + due, values),
            settled=count(self._db, f"{of}settled <> ''"),
            superseded=count(self._db, f"{of}NOT {SAID}"),
            trained=count(self._db, f"{of}{_trained_by(ancestry)}", ancestry),
            held=self.only_trained_by(held.runs, (*ancestry, *held.kept)),
            deleted=Gone(self._db).count(),
            erased=count(self._db, "SELECT count(*) FROM erased"),
        )

    def due_count(self, ancestry: Sequence[str], mode: str, held: Held = NOTHING_HELD) -> int:
        """How many memories of a mode ("all": of any) are due for an ancestry."""
        of_mode = "" if mode == "all" else " AND mode = ?"
        due, values = _due(ancestry, held)
        sql = f"SELECT count(*) FROM memories WHERE {due}{of_mode}"  # noqa: S608
        return count(self._db, sql, (*values, *([mode] if of_mode else [])))

    def only_trained_by(self, runs: Sequence[str], others: Sequence[str]) -> int:
        """How many memories that count were trained by one of `runs` and by none of `others`."""
        if not runs:
            return 0
        sql = f"SELECT count(*) FROM memories WHERE {CURRENT} AND {_trained_by(runs)} AND NOT {_trained_by(others)}"  # noqa: S608
        return count(self._db, sql, (*runs, *others))

    # --- what is to be forgotten --------------------------------------------------------------------------------

    @property
    def search(self) -> Search:
        """Finds memories by what a person knows of them."""
        return Search(self._db)

    @property
    def forgetting(self) -> Forgetting:
        """What was erased, and is to be."""
        return Forgetting(self._db)

    def files(self, label: str) -> int:
        """How many files that may hold memories there are below the folder with this label."""
        return Folders(self._db).files([label])

    def knows(self, label: str) -> bool:
        """Whether the folder with this label was looked at before."""
        return count(self._db, "SELECT count(*) FROM folders WHERE source = ?", (label,)) > 0

    def whereabouts(self, digests: Iterable[str]) -> dict[str, Whereabouts]:
        """Where these memories stand, or stood last; those that the ledger does not know are left out."""
        found: dict[str, Whereabouts] = {}
        for digest in digests:
            sql = f"SELECT source, {SAID} FROM memories WHERE digest = ?"  # noqa: S608  # our own words
            for source, said in self._db.execute(sql, (digest,)):
                found[digest] = Whereabouts(str(source), bool(said))
            for (source,) in self._db.execute("SELECT min(source) FROM slots WHERE digest = ?", (digest,)):
                if source is not None:
                    found[digest] = Whereabouts(str(source), current=True)
        return found

    def _memories(self, where: str, values: Sequence[str]) -> Iterator[Memory]:
        sql = f"SELECT {COLUMNS} FROM memories WHERE {where} {OLDEST_FIRST}"  # noqa: S608  # all three are our own words
        for row in self._db.execute(sql, tuple(values)):
            yield memory_of(*row)


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _due(ancestry: Sequence[str], held: Held) -> tuple[str, tuple[str, ...]]:
    """What makes a memory due, as a condition and its values."""
    due = f"{CURRENT} AND NOT {_trained_by(ancestry)}"
    if not held.runs:
        return due, tuple(ancestry)
    is_held = f"{_trained_by(held.runs)} AND NOT {_trained_by(held.kept)}"
    return f"{due} AND NOT ({is_held})", (*ancestry, *held.runs, *held.kept)


def _trained_by(ancestry: Sequence[str]) -> str:
    # The "+" keeps SQLite from beginning with the labels: a run has as many memories as the ledger, or nearly.
    of = "SELECT 1 FROM trainings WHERE trainings.digest = memories.digest"
    return f"EXISTS ({of} AND +run_label IN ({_marks(ancestry)}))"
