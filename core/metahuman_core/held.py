"""What is held: memories that wait because the version that trained them was rolled back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """What is not due although no run of the ancestry trained it: what `runs` (of versions that were rolled back)
    trained, and none of `kept` (the line that people talk to). Run labels, both.
    """

    runs: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


NOTHING_HELD = Held()
