"""What a line of versions was told and is answered otherwise since: a corrected fact must not come back by replay.

Nor is it asked for its old answer.

Invariant: of two memories that answer one question differently the newer one counts, by its own date, and of the same
moment the one that was trained later. Of facts of which one holds at a time (an address) the old answer is outdated in
whatever words it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.dataset.samples import DATASET, Sample, asked_words, read_samples
from metahuman_core.plan import MEMORIES, read_memories
from metahuman_core.study import ONE_AT_A_TIME


@dataclass(frozen=True, slots=True)
class Outdated:
    """`answers`: (memory, answer) that hold no more; `asks`: (memory, question) that another memory answers."""

    answers: frozenset[tuple[str, str]] = frozenset()
    asks: frozenset[tuple[str, str]] = frozenset()

    def includes(self, sample: Sample) -> bool:
        """Whether a sample says what is outdated."""
        is_answer = sample.form in ONE_AT_A_TIME and (sample.memory, sample.turns[-1].text) in self.answers
        return is_answer or (sample.memory, asked_words(sample)) in self.asks


@dataclass(frozen=True, slots=True)
class _Told:
    """Who answers a question: how old the memory is, its digest, the answer, the rule."""

    age: tuple[str, int]
    memory: str
    answer: str
    form: str


def outdated_in(runs: Sequence[Path]) -> Outdated:
    """What is outdated in the datasets of these runs' folders, the oldest first; what is not there is left out."""
    newest: dict[str, _Told] = {}
    ages: dict[str, tuple[str, int]] = {}
    answers: set[tuple[str, str]] = set()
    asks: set[tuple[str, str]] = set()
    for order, run in enumerate(runs):
        for memory, instant in _instants(run):
            ages.setdefault(memory, (instant, order))
        for sample in _samples(run):
            key = asked_words(sample)
            if not key:
                continue
            told = _Told(ages.get(sample.memory, ("", order)), sample.memory, sample.turns[-1].text, sample.form)
            known = newest.get(key, told)
            older, newer = (known, told) if told.age >= known.age else (told, known)
            newest[key] = newer
            if older.memory != newer.memory and older.answer != newer.answer:
                asks.add((older.memory, key))
                if older.form in ONE_AT_A_TIME:
                    answers.add((older.memory, older.answer))
    return Outdated(frozenset(answers), frozenset(asks))


def _samples(run: Path) -> Iterable[Sample]:
    dataset = run / DATASET
    return (s for s in read_samples(dataset) if s.memory) if dataset.is_file() else ()


def _instants(run: Path) -> Iterable[tuple[str, str]]:
    memories = read_memories(run) if (run / MEMORIES).is_file() else ()
    return ((memory.digest, memory.instant) for part in memories for memory in part)
