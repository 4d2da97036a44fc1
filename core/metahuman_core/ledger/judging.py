"""Has each memory judged once under the settings of today, a batch at a time.

Invariant: a verdict and what it adds to the index are written together, and one memory is held at a time.
Killed anywhere, the next judging goes on where this one stood.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import TypeAlias

from metahuman_core.ledger.database import NEARLY_THE_SAME, transaction
from metahuman_core.ledger.near import NearIndex
from metahuman_core.ledger.rows import COLUMNS, OLDEST_FIRST, memory_of
from metahuman_core.memories.model import Memory

Verdicts: TypeAlias = Callable[[Iterable[Memory], NearIndex], Iterable[tuple[str, str]]]
"""Gives (digest, reason) for each memory; each verdict is written before the next one is asked for."""

_AT_A_TIME = 500
OTHERWISE = "(settled_under < ? OR settled_under > ?)"  # and not <>, for which SQLite uses no index
"""Judged under other settings, or not yet."""


def judge_all(db: sqlite3.Connection, threshold: float, under: str, verdicts: Verdicts) -> None:
    """Have all judged that was not judged `under` these settings, oldest first."""
    if db.execute("SELECT value FROM facts WHERE name = 'judged under'").fetchone() != (under,):
        with transaction(db):
            _begin_anew(db, under)
    if not db.execute(f"SELECT 1 FROM memories WHERE {OTHERWISE} LIMIT 1", (under, under)).fetchone():  # noqa: S608
        return
    index = NearIndex(db, threshold, under)
    # The order is kept by SQLite, on the disk where it is long: a cursor would keep the database locked.
    db.execute("CREATE TEMP TABLE IF NOT EXISTS waiting (place INTEGER PRIMARY KEY, digest TEXT NOT NULL)")
    db.execute("DELETE FROM waiting")
    db.execute(
        f"INSERT INTO waiting (digest) SELECT digest FROM memories WHERE {OTHERWISE} {OLDEST_FIRST}",  # noqa: S608
        (under, under),
    )
    last = db.execute("SELECT max(place) FROM waiting").fetchone()[0] or 0
    for first in range(1, last + 1, _AT_A_TIME):
        with transaction(db):
            # Asked again: another process may have judged some of them meanwhile. One memory is held at a time, and
            # writing its verdict moves nothing in the order of `waiting`.
            rows = db.execute(
                f"SELECT {COLUMNS} FROM waiting CROSS JOIN memories USING (digest)"  # noqa: S608
                f" WHERE place BETWEEN ? AND ? AND {OTHERWISE} ORDER BY place",
                (first, first + _AT_A_TIME - 1, under, under),
            )
            write_verdicts(db, verdicts((memory_of(*row) for row in rows), index), under)
    db.execute("DELETE FROM waiting")


def write_verdicts(db: sqlite3.Connection, verdicts: Iterable[tuple[str, str]], under: str) -> None:
    """Write down (digest, reason), each before the next is asked for. In a transaction."""
    for digest, reason in verdicts:
        db.execute("UPDATE memories SET settled = ?, settled_under = ? WHERE digest = ?", (reason, under, digest))


def reopen_duplicates(db: sqlite3.Connection) -> None:
    """What was nearly the same as a memory that counts no more may be the one that counts. In a transaction."""
    db.execute(
        "UPDATE memories SET settled = '', settled_under = '' WHERE settled <> '' AND settled = ?",
        (NEARLY_THE_SAME,),  # the first condition is the index's own
    )


def _begin_anew(db: sqlite3.Connection, under: str) -> None:
    """Other settings have other grams. Who was judged under these before, and then others, has none any more."""
    db.execute("DELETE FROM grams")
    db.execute("UPDATE memories SET settled_under = '' WHERE settled_under = ?", (under,))
    db.execute("INSERT OR REPLACE INTO facts VALUES ('judged under', ?)", (under,))
