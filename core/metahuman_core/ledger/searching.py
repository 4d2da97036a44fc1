"""Finds memories by what a person knows of them: their hash, their file, words in them; and what says the same.

Invariant: nothing is changed, and every memory that the ledger knows can be found, superseded and settled ones too.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence

from metahuman_core.dataset.near import likeness, shingles, telling
from metahuman_core.ledger.database import NEARLY_THE_SAME
from metahuman_core.ledger.near import NearIndex
from metahuman_core.ledger.rows import COLUMNS, OLDEST_FIRST, memory_of
from metahuman_core.memories.model import Memory


class Search:
    """Looks through the memories of a ledger: use it through `Ledger.search`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def by_hash(self, beginning: str) -> list[Memory]:
        """Those whose digest begins so (hex digits)."""
        return list(self._where("digest >= ? AND digest < ?", (beginning, f"{beginning}g")))

    def of_files(self, sources: Sequence[str]) -> list[Memory]:
        """What these files say, and what they said before (a label and the path below it, each)."""
        marks = ", ".join("?" * len(sources))
        said = f"digest IN (SELECT digest FROM slots WHERE source IN ({marks}))"  # noqa: S608
        left = f"NOT EXISTS (SELECT 1 FROM slots WHERE slots.digest = memories.digest) AND source IN ({marks})"  # noqa: S608
        return list(self._where(f"({said} OR {left})", (*sources, *sources)))

    def with_words(self, words: Sequence[str]) -> list[Memory]:
        """Those that hold all of these words, whatever their case, in the text or the title."""
        wanted = [_finder(word) for word in words]
        return [memory for memory in self._where("1", ()) if all(found(_said(memory)) for found in wanted)]

    def that_say_the_same(self, memories: Sequence[Memory], threshold: float) -> list[Memory]:
        """The others that are nearly the same: duplicates of these, what these are duplicates of, and so on.

        `threshold`: the likeness from which on two count as one, as when they were judged.
        """
        row = self._db.execute("SELECT value FROM facts WHERE name = 'judged under'").fetchone()
        counting = NearIndex(self._db, threshold, row[0] if row else "")
        settled = self._where("settled <> '' AND settled = ?", (NEARLY_THE_SAME,))
        duplicates = [(memory, telling(memory.whole_text)) for memory in settled]
        known = {memory.digest for memory in memories}
        found: list[Memory] = []
        waiting = list(memories)
        while waiting:
            text = waiting.pop().whole_text
            told, grams = telling(text), shingles(text)
            alike = [
                memory
                for memory, tells in duplicates
                if tells == told and likeness(grams, shingles(memory.whole_text)) >= threshold
            ]
            for memory in (*counting.like(text), *alike):
                if memory.digest not in known:
                    known.add(memory.digest)
                    found.append(memory)
                    waiting.append(memory)
        return sorted(found, key=lambda memory: (memory.instant, memory.digest))

    def files_of(self, digest: str) -> tuple[str, ...]:
        """The files that say a memory (those that are gone too), or the one that said it last."""
        rows = self._db.execute("SELECT DISTINCT source FROM slots WHERE digest = ? ORDER BY source", (digest,))
        files = tuple(str(source) for (source,) in rows)
        if not files:
            rows = self._db.execute("SELECT source FROM memories WHERE digest = ?", (digest,))
            files = tuple(str(source) for (source,) in rows)
        return files

    def _where(self, condition: str, values: Sequence[str]) -> Iterator[Memory]:
        sql = f"SELECT {COLUMNS} FROM memories WHERE {condition} {OLDEST_FIRST}"  # noqa: S608  # our own words
        for row in self._db.execute(sql, tuple(values)):
            yield memory_of(*row)


def _said(memory: Memory) -> str:
    return f"{memory.title}\n{memory.whole_text}".casefold()


def _finder(word: str) -> Callable[[str], object]:
    """Finds a whole word; where writing has no case (Chinese, Thai), any piece of a text: it may have no gaps."""
    plain = word.casefold()
    if plain.upper() == plain and not plain.isascii():
        return lambda text: plain in text
    return re.compile(rf"(?<!\w){re.escape(plain)}(?!\w)").search
