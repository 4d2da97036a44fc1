"""The place that a memory comes from, and the one door through which it becomes a `Memory`.

Invariant: what `Origin.memory` lets through says something, and is no larger than `Limits.memory_bytes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from metahuman_core.memories.model import Memory, Mode, Skipped, Turn
from metahuman_core.memories.opened import larger_than

if TYPE_CHECKING:
    from datetime import datetime

Outcome: TypeAlias = Memory | Skipped

EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader accepts; the rest is set aside.

    `memory_bytes`: a memory, and a file that is read whole (episodic, curated, therapy, journal).
    `max_depth`: containers inside each other in JSON. The parser itself stops at 200.
    `item_bytes`: one item of a streamed list or line, such as a conversation of many years in an export.
    `section_chars`: a journal's section; a longer one is split at its paragraphs.
    """

    memory_bytes: int = 1_048_576
    max_depth: int = 64
    item_bytes: int = 33_554_432
    section_chars: int = 50_000


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a source: the file, the unit in it, and the kind of what lies there when it does not say itself."""

    source: str
    limits: Limits
    kind: str = ""
    unit: str = ""

    def at(self, unit: str) -> Origin:
        """A place inside this one."""
        return replace(self, unit=f"{self.unit}/{unit}" if self.unit and unit else self.unit or unit)

    def skipped(self, reason: str) -> Skipped:
        """This place, set aside."""
        return Skipped(self.source, reason, self.unit)

    def memory(
        self,
        *,
        kind: str,
        mode: Mode,
        happened_at: datetime | None,
        turns: tuple[Turn, ...] = (),
        text: str = "",
        tags: tuple[str, ...] = (),
        title: str = "",
        unfit: str = "",
    ) -> Outcome:
        """A memory of this place, or the reason why it is none."""
        text = "" if turns else text.strip()
        said = [text, *(turn.text for turn in turns)]
        if not any(words.strip() for words in said):
            return self.skipped(EMPTY)
        if sum(len(words.encode()) for words in said) > self.limits.memory_bytes:
            return self.skipped(larger_than(self.limits.memory_bytes))
        return Memory(self.source, self.unit, kind, mode, happened_at, turns, text, tags, title, unfit)


@dataclass(slots=True)
class UnitNames:
    """Gives each unit of a file its own name: the second of the same gets an ordinal."""

    _times: dict[str, int] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def name(self, wanted: str) -> str:
        """`wanted`, or `wanted (2)` and so on where it is taken; the order of asking decides."""
        times = self._times.get(wanted, 0) + 1
        while (name := wanted if times == 1 else f"{wanted} ({times})") in self._taken:
            times += 1
        self._times[wanted] = times
        self._taken.add(name)
        return name
