"""Near duplicates by Jaccard similarity of word triples, exact and in about linear time. Pure.

Invariant: two sets with similarity t or more share one of the first n - ceil(t·n) + 1 of their elements in any fixed
order (prefix filtering, Chaudhuri et al. 2006), so that only those need an index, and only who meets there is compared.
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


def likeness(grams: frozenset[int], others: frozenset[int]) -> float:
    """Jaccard similarity, 0 where nothing is shared."""
    shared = len(grams & others)
    return shared / (len(grams) + len(others) - shared) if shared else 0.0


def prefix(grams: frozenset[int], threshold: float) -> list[int]:
    """The elements of which any set with this likeness must share one in its own prefix."""
    return sorted(grams)[: len(grams) - math.ceil(threshold * len(grams)) + 1]
