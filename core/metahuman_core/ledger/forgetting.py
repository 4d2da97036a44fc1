"""What was erased: its hash and when, and nothing else.

Invariant: what is erased goes with all its rows in one transaction, and is overwritten: a deleted row by SQLite itself
(`secure_delete`), and what earlier changes may have left behind by writing the whole file anew (`overwrite`). The runs
that trained it stay noted, by its hash: by that it is known which versions still know it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from metahuman_core.ledger.database import transaction
from metahuman_core.ledger.gone import Gone
from metahuman_core.ledger.judging import reopen_duplicates

_AT_A_TIME = 500
_TO_OVERWRITE = "to overwrite"


class Forgetting:
    """The ledger's part of `forget`: use it through `Ledger.forgetting`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._gone = Gone(db)

    def erase(self, digests: Collection[str], at: datetime) -> None:
        """Erase memories, those too that the ledger does not know (yet): they never come back."""
        with transaction(self._db):
            self._erase(sorted(digests), at)

    def erase_deleted(self, labels: Sequence[str], at: datetime, *, gone_before: datetime, most: int) -> list[str]:
        """Erase what stood only in files that are gone, and were so before `gone_before`. Gives their digests.

        Where more than `most` files took something along, nothing is erased.

        `labels`: the roots that are there, and hold something: nothing below another one is erased. What is gone and
        was not known to be, is so since `at`.
        """
        with transaction(self._db):
            self._gone.date(at)
            roots = tuple(f"{label}/" for label in labels)
            gone = {
                source
                for source, since in self._gone.since().items()
                if since is not None and since <= gone_before and source.startswith(roots)
            }
            found, files = self._gone.lost(gone)
            if files > most:
                return []
            if found:
                self._erase(found, at)
        return found

    def erased(self) -> Mapping[str, str]:
        """All digests that were erased, with when (ISO 8601)."""
        return dict(self._db.execute("SELECT digest, at FROM erased"))

    def runs(self, digests: Collection[str] | None = None) -> set[str]:
        """The runs (labels) that trained one of these memories, or (None) one of those that were erased."""
        if digests is None:
            rows = self._db.execute("SELECT DISTINCT run_label FROM erased JOIN trainings USING (digest)")
            return {str(label) for (label,) in rows}
        sql = "SELECT run_label FROM trainings WHERE digest = ?"
        return {str(label) for digest in digests for (label,) in self._db.execute(sql, (digest,))}

    def overwrite(self) -> bool:
        """Write the whole file anew, if something was erased since that was done; False where nothing was.

        Raises sqlite3.OperationalError where there is no room for it, or the ledger is in use: then it is still due.
        """
        due = self._db.execute("SELECT 1 FROM facts WHERE name = ?", (_TO_OVERWRITE,)).fetchone()
        if due is None:
            return False
        self._db.execute("VACUUM")
        self._db.execute("DELETE FROM facts WHERE name = ?", (_TO_OVERWRITE,))
        return True

    def _erase(self, digests: Sequence[str], at: datetime) -> None:
        rows = [(digest,) for digest in digests]
        self._db.executemany("INSERT OR IGNORE INTO erased VALUES (?, ?)", ((d, at.isoformat()) for d in digests))
        self._db.executemany("DELETE FROM memories WHERE digest = ?", rows)
        self._db.executemany("DELETE FROM slots WHERE digest = ?", rows)
        for first in range(0, len(digests), _AT_A_TIME):
            some = [bytes.fromhex(digest) for digest in digests[first : first + _AT_A_TIME]]
            self._db.execute(f"DELETE FROM grams WHERE digest IN ({', '.join('?' * len(some))})", some)  # noqa: S608
        self._db.execute("DELETE FROM gone WHERE source NOT IN (SELECT source FROM slots)")
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, '')", (_TO_OVERWRITE,))
        reopen_duplicates(self._db)
