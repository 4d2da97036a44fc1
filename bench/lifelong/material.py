"""What is learned cycle by cycle, and what is asked about it: invented facts, or a dialogue set's conversations.

Invariant: what a probe asks is never trained, in no cycle and by no strategy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from metahuman_core.dataset.samples import Sample
from metahuman_core.memories.model import Memory
from metahuman_core.settings import DatasetSettings

_WORDS = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an", "the"})


@dataclass(frozen=True, slots=True)
class Probe:
    """One question, the answer that is wanted, and what any answer must hold: every word of `key`, articles apart.

    `about` names the fact, the same for all its probes. `outdated` is what a correction has put out of date: an answer
    with that is the old one ("" where nothing is corrected).
    """

    about: str
    ask: str
    answer: str
    key: str
    outdated: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What comes in with one cycle. A memory with the source and unit of an older one supersedes it."""

    memories: tuple[Memory, ...]
    probes: tuple[Probe, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a line is given.

    `told`: all memories that the line's runs before it were given, superseded ones too; `earlier`: all their samples;
    `epochs`: in how many it is trained.
    """

    new: tuple[Memory, ...]
    replay: tuple[Memory, ...]
    told: tuple[Memory, ...]
    earlier: tuple[Sample, ...]
    settings: DatasetSettings
    epochs: int


class Material(Protocol):
    """Something to learn in batches."""

    @property
    def system(self) -> str:
        """The system's text of all samples and probes."""
        ...

    @property
    def batches(self) -> tuple[Batch, ...]:
        """One for each cycle."""
        ...

    def samples(self, run: Run) -> tuple[Sample, ...]:
        """The run's dataset, as the product builds one: trained samples, and kept-out ones ("probe").

        The kept-out ones are the gate's, which tell what was forgotten; the bench's own probes are none of them.
        """
        ...


def current(memories: Iterable[Memory]) -> tuple[Memory, ...]:
    """The memories that no later one has superseded, in the order in which they came."""
    newest: dict[tuple[str, str], Memory] = {}
    for memory in memories:
        newest.pop((memory.source, memory.unit), None)
        newest[memory.source, memory.unit] = memory
    return tuple(newest.values())


def holds(answer: str, key: str) -> bool:
    """Whether an answer has every word of a key. An empty key is in no answer."""
    wanted = [word for word in _WORDS.findall(key.casefold()) if word not in _ARTICLES]
    return bool(wanted) and set(wanted) <= set(_WORDS.findall(answer.casefold()))
