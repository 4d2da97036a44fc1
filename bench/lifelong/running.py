"""Goes through all lines, version by version, and makes what has no result yet.

Invariant: a version is made once, however often the bench is broken off, and by whichever strategy comes to it first;
folders are let go as soon as no line needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lifelong.kept import Kept, Measured
from lifelong.planning import Cell, Line, still_needed

# Makes and measures a cell; those that it may need are among the known ones (by key).
Maker = Callable[[Cell, Mapping[str, Cell]], Measured]


def walked(line: Line, kept: Kept) -> Line:
    """The line with all versions whose results are kept, up to the first that has none."""
    while (cell := line.next()) is not None and (measured := kept.get(cell.key)) is not None:
        line = line.then(cell, measured)
    return line


def run(bases: Sequence[Cell], lines: Sequence[Line], kept: Kept, maker: Maker) -> None:
    """Make and keep every version without a result: seed by seed and cycle by cycle, all strategies in turn.

    So strategies that begin alike share their first versions. What `maker` raises breaks it off.
    """
    for base in bases:
        if kept.get(base.key) is None:
            kept.put(maker(base, {}))
    going = [walked(line, kept) for line in lines]
    known = {cell.key: cell for line in going for cell in line.cells}
    fronts = [line.next() for line in going]
    while waiting := [(cell.seed, cell.cycle, at) for at, cell in enumerate(fronts) if cell is not None]:
        at = min(waiting)[-1]
        cell = fronts[at]
        if cell is None:
            raise AssertionError("a line that waits has a next version")
        known[cell.key] = cell
        measured = kept.get(cell.key)
        if measured is None:
            measured = maker(cell, known)
            kept.put(measured)
        going[at] = going[at].then(cell, measured)
        fronts[at] = going[at].next()
        kept.let_go(known.keys() - still_needed(front for front in fronts if front is not None))


class Pace:
    """How long what is left will take, by what was made so far."""

    def __init__(self, waiting: Mapping[str, float], assumed_s: float) -> None:
        """`waiting`: passes (samples times epochs) by cell; `assumed_s`: a pass, until one is measured."""
        self._versions, self._left = len(waiting), sum(waiting.values())
        self._assumed_s = assumed_s
        self._passes = self._train_s = self._measure_s = 0.0
        self._measured = 0

    def add(self, cell: Cell, measured: Measured) -> None:
        """A version was made."""
        self._versions -= 1
        self._left -= cell.passes
        self._measured += 1
        self._measure_s += measured.measure_s
        if not measured.went_on:
            self._passes += cell.passes
            self._train_s += measured.train_s

    def __str__(self) -> str:
        each_s = self._train_s / self._passes if self._passes else self._assumed_s
        asking_s = self._measure_s / self._measured if self._measured else 0.0
        left_s = max(0.0, self._left) * each_s + max(0, self._versions) * asking_s
        return f"about {left_s / 60:.0f} min left for {self._versions} versions" if self._versions > 0 else "all made"
