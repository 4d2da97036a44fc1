"""What goes when all versions together take too much. Pure.

Invariant: what can be rebuilt goes before what cannot: first `model/`, oldest first, then the GGUFs, and versions as a
whole only when nothing else is left to go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from metahuman_core.registry import Storage
from metahuman_core.versions.footprint import File, rank
from metahuman_core.versions.retention.fates import Candidate, Fates, held_files, lowered, needing, untouched

OVER = "over max_total_gb"
_Names = Counter[tuple[int, int, int]]


def within_limit(
    oldest_first: Sequence[Candidate], fates: Fates, limit_bytes: int, *, keep_all_versions: bool
) -> Fates:
    """Lower versions until they take no more than the limit, or nothing that helps can be lowered."""
    fates = dict(fates)
    held = _names(file for c in oldest_first for file in held_files(c, fates[c.version].after))
    levels: tuple[Storage, ...] = ("serving", "archived") if keep_all_versions else ("serving", "archived", "removed")
    total = sum(size_bytes for *_, size_bytes in held)
    while total > limit_bytes:
        needed = needing(oldest_first, fates)
        step = next(
            (
                (c, level, going)
                for level in levels
                for c in oldest_first
                if _may_go(c, fates, level, needed) and (going := _helps(c, fates[c.version].after, level, held))
            ),
            None,
        )
        if step is None:
            break
        c, level, going = step
        held.subtract(going)
        total -= sum(file[-1] for file in going if not held[file])
        fates[c.version] = lowered(c, level, (OVER,))
    return fates


def _may_go(c: Candidate, fates: Fates, level: Storage, needed: dict[int, int]) -> bool:
    if rank(fates[c.version].after) <= rank(level) or untouched(c):
        return False
    return lowered(c, level, ()).after == level and not (level == "removed" and c.version in needed)


def _helps(c: Candidate, before: Storage, after: Storage, held: _Names) -> _Names:
    """The names that go with it, if they are the last ones of any file; else none."""
    going = _names(held_files(c, before)) - _names(held_files(c, after))
    return going if any(held[file] == names for file, names in going.items()) else Counter()


def _names(files: Iterable[File]) -> _Names:
    """The files by device, inode and size, each with how many names it has among these."""
    return Counter((file.device, file.inode, file.size_bytes) for file in files)
