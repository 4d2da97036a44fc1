"""Tells files that somebody is still writing from those that are whole.

Invariant: a file is taken only when neither its content (size, mtime) nor its place (ctime) has changed for the quiet
time: by its own stamps where the clock of its file system agrees with ours, by having been looked at twice where not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from metahuman_core.memories.walk import FoundFile

_REMEMBERED = 100_000


class Steady:
    """Asked of each new or changed file. `now_ns` is the time of day, `age_s` a clock that only rises."""

    def __init__(self, quiet_s: float, now_ns: Callable[[], int], age_s: Callable[[], float]) -> None:
        self._quiet_s = quiet_s
        self._now_ns = now_ns
        self._age_s = age_s
        self._seen: dict[Path, tuple[tuple[int, int, int, int], float]] = {}
        self._again: dict[Path, float] = {}

    def __call__(self, found: FoundFile) -> bool:
        """Whether the file may be read; its folder is to be looked at again where not."""
        left_s = self._left_s(found)
        if left_s <= 0:
            self._seen.pop(found.path, None)
            return True
        folder = found.path.parent
        self._again[folder] = max(left_s, self._again.get(folder, 0.0))
        return False

    def take_again(self) -> dict[Path, float]:
        """The folders with files that were refused since the last call, and in how many seconds to look again."""
        again, self._again = self._again, {}
        return again

    def _left_s(self, found: FoundFile) -> float:
        """How long the file has to stay as it is (0: it is whole)."""
        quiet_for_s = (self._now_ns() - max(found.mtime_ns, found.changed_ns)) / 1e9
        if quiet_for_s >= self._quiet_s:
            return 0.0
        if quiet_for_s >= 0:
            return self._quiet_s - quiet_for_s
        # A stamp from the future: of another machine's clock, or of a wrong one. Our own eyes count.
        stamps = (found.mtime_ns, found.changed_ns, found.size_bytes, found.inode)
        before, since_s = self._seen.get(found.path, (None, 0.0))
        if before != stamps:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()  # they are looked at twice once more; nothing is lost but a moment
            since_s = self._age_s()
            self._seen[found.path] = (stamps, since_s)
        return max(0.0, self._quiet_s - (self._age_s() - since_s))
