"""Finds among the memories that count one that is nearly the same as a text, without holding them in memory.

Invariant: the answer is that of comparing the text with each memory that counts; the table `grams` only says which of
them can be near. Its rows may outlive what they stand for: what a candidate says, and whether it counts, is asked of
the memories themselves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from hashlib import blake2b

from metahuman_core.dataset.near import likeness, prefix, shingles, telling
from metahuman_core.ledger.rows import COLUMNS, SAID, memory_of
from metahuman_core.memories.model import Memory

_HALF = 1 << 63  # SQLite's integers have a sign


class NearIndex:
    """Those that were judged `under` these settings. `threshold`: Jaccard similarity, above 0 and up to 1."""

    def __init__(self, db: sqlite3.Connection, threshold: float, under: str) -> None:
        self._db = db
        self._threshold = threshold
        self._under = under

    def has(self, text: str) -> bool:
        """Whether a memory that counts is as similar as that and tells the same names and numbers."""
        return next(self.like(text), None) is not None

    def like(self, text: str) -> Iterator[Memory]:
        """The memories that count and are so."""
        grams, told = shingles(text), telling(text)
        for memory in self._candidates(grams, told):
            other = memory.whole_text
            if told == telling(other) and likeness(grams, shingles(other)) >= self._threshold:
                yield memory

    def add(self, digest: str, text: str) -> None:
        """Have a memory found. In a transaction."""
        grams = shingles(text)
        key = bytes.fromhex(digest)
        self._db.executemany(
            "INSERT OR IGNORE INTO grams VALUES (?, ?, ?)",
            [(place, key, len(grams)) for place in self._places(grams, telling(text))],
        )

    def _candidates(self, grams: frozenset[int], told: frozenset[str]) -> Iterator[Memory]:
        # The smaller of two sets has at least the threshold's share of the larger one's elements.
        smallest, largest = int(len(grams) * self._threshold), int(len(grams) / self._threshold) + 1
        seen: set[bytes] = set()
        for place in self._places(grams, told):
            found = self._db.execute(
                "SELECT digest FROM grams WHERE gram = ? AND size BETWEEN ? AND ?", (place, smallest, largest)
            )
            for (key,) in found.fetchall():
                if key not in seen:
                    seen.add(key)
                    yield from self._counting(key.hex())

    def _counting(self, digest: str) -> Iterator[Memory]:
        row = self._db.execute(
            f"SELECT {COLUMNS} FROM memories WHERE digest = ? AND settled = '' AND settled_under = ? AND {SAID}",  # noqa: S608
            (digest, self._under),
        ).fetchone()
        if row is not None:
            yield memory_of(*row)

    def _places(self, grams: frozenset[int], told: frozenset[str]) -> list[int]:
        """Where a text stands in the index: who tells other names and numbers stands elsewhere and is never met."""
        names = blake2b("\0".join(sorted(told)).encode(), digest_size=8).digest()
        salt = int.from_bytes(names)
        return [(gram ^ salt) - _HALF for gram in prefix(grams, self._threshold)]
