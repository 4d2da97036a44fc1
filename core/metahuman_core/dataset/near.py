"""Near duplicates by Jaccard similarity of word triples, exact and in about linear time.

Two sets with similarity t or more must share one of the first n - ceil(t·n) + 1 of their elements in any fixed order
(prefix filtering, Chaudhuri et al. 2006), so that only those are indexed, and only who meets there is compared.
"""

from __future__ import annotations

import math
import re
from hashlib import blake2b

_WORDS = re.compile(r"\w+")
_TELLING = re.compile(r"\w*\d\w*|\b[^\W\d_a-z]\w*")


def telling(text: str) -> frozenset[str]:
    """Numbers, and words that begin with a capital (as names do): where these differ, so may the fact."""
    return frozenset(_TELLING.findall(text))


def shingles(text: str) -> frozenset[int]:
    """64-bit hashes of a text's word triples, letter case aside (of its words, where there are fewer than three)."""
    words = _WORDS.findall(text.casefold())
    width = 3 if len(words) >= 3 else 1  # noqa: PLR2004
    grams = (" ".join(words[i : i + width]) for i in range(len(words) - width + 1))
    return frozenset(int.from_bytes(blake2b(gram.encode(), digest_size=8).digest()) for gram in grams)


class NearIndex:
    """Finds an earlier text that is nearly the same. `threshold`: Jaccard similarity, above 0 and up to 1."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._sets: list[tuple[frozenset[int], frozenset[str]]] = []
        self._at: dict[int, list[int]] = {}

    def has(self, text: str) -> bool:
        """Whether an earlier text is as similar as that and tells the same names and numbers."""
        grams, told = shingles(text), telling(text)
        candidates = {place for gram in self._prefix(grams) for place in self._at.get(gram, ())}
        for place in candidates:
            other, other_told = self._sets[place]
            shared = len(grams & other)
            if told == other_told and shared and shared / (len(grams) + len(other) - shared) >= self._threshold:
                return True
        return False

    def add(self, text: str) -> None:
        """Remember a text."""
        grams = shingles(text)
        for gram in self._prefix(grams):
            self._at.setdefault(gram, []).append(len(self._sets))
        self._sets.append((grams, telling(text)))

    def _prefix(self, grams: frozenset[int]) -> list[int]:
        return sorted(grams)[: len(grams) - math.ceil(self._threshold * len(grams)) + 1]
