"""What a line of versions was told and is answered otherwise since: a corrected fact must not come back by replay.

Nor is it asked for its old answer. Invariant: of two memories that answer one question differently the newer one counts
(see `answered`), by its own date, and of the same moment the one that was trained later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.dataset.answered import Age, Answer, Answered
from metahuman_core.dataset.samples import DATASET, Sample, read_samples
from metahuman_core.plan import MEMORIES, read_memories

_ANY_AGE: Age = ("", 0)


@dataclass(frozen=True, slots=True)
class Outdated:
    """`answers`: (memory, answer) that hold no more; `asks`: (memory, question) that another memory answers."""

    answers: frozenset[Answer] = frozenset()
    asks: frozenset[tuple[str, str]] = frozenset()

    def includes(self, sample: Sample) -> bool:
        """Whether a sample says what is outdated."""
        one = Answered.by(sample, _ANY_AGE)
        is_answer = one.one_at_a_time and (one.memory, one.answer) in self.answers
        return is_answer or (one.memory, one.asked) in self.asks


def outdated_in(runs: Sequence[Path]) -> Outdated:
    """What is outdated in the datasets of these runs' folders, the oldest first; what is not there is left out."""
    newest: dict[str, Answered] = {}
    ages: dict[str, Age] = {}
    answers: set[Answer] = set()
    asks: set[tuple[str, str]] = set()
    for order, run in enumerate(runs):
        for memory, instant in _instants(run):
            ages.setdefault(memory, (instant, order))
        for sample in _samples(run):
            told = Answered.by(sample, ages.get(sample.memory, ("", order)))
            if not told.asked:
                continue
            known = newest.get(told.asked, told)
            older, newer = (known, told) if told.age >= known.age else (told, known)
            newest[told.asked] = newer
            if older.memory != newer.memory and older.answer != newer.answer:
                asks.add((older.memory, told.asked))
                if older.one_at_a_time:
                    answers.add((older.memory, older.answer))
    return Outdated(frozenset(answers), frozenset(asks))


def _samples(run: Path) -> Iterable[Sample]:
    dataset = run / DATASET
    return (s for s in read_samples(dataset) if s.memory) if dataset.is_file() else ()


def _instants(run: Path) -> Iterable[tuple[str, str]]:
    memories = read_memories(run) if (run / MEMORIES).is_file() else ()
    return ((memory.digest, memory.instant) for part in memories for memory in part)
