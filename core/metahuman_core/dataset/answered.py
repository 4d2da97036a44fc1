"""Which memory answers a question, and which of several is the newest, in one run or in a line of them. Pure.

Invariant: of two memories the newer one counts, by `age`, and of the same age the one that comes later. Of facts of
which one holds at a time (an address) an old answer is outdated in whatever words it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from metahuman_core.dataset.samples import Sample, asked_words
from metahuman_core.study import ONE_AT_A_TIME

Age = tuple[str, int]
"""Sorts as time does: when it happened, and of the same moment what was learned later."""
Answer = tuple[str, str]
"""A memory (digest) and what it answers."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question's answer by a memory. `asked`: in one form, "" where it has a history; `form`: by which rule."""

    age: Age
    memory: str
    asked: str
    answer: str
    form: str

    @classmethod
    def by(cls, sample: Sample, age: Age) -> Answered:
        """What a sample answers."""
        return cls(age, sample.memory, asked_words(sample), sample.turns[-1].text, sample.form)

    @property
    def one_at_a_time(self) -> bool:
        """Whether it is a fact of which only one holds at a time (an address)."""
        return self.form in ONE_AT_A_TIME


def newest_of(answered: Iterable[Answered]) -> dict[str, Answered]:
    """The newest answer to each question."""
    newest: dict[str, Answered] = {}
    for one in answered:
        if one.asked and (one.asked not in newest or one.age >= newest[one.asked].age):
            newest[one.asked] = one
    return newest


def outdated_of(answered: Iterable[Answered], newest: Mapping[str, Answered]) -> frozenset[Answer]:
    """The answers that hold no more, as another memory is the newest to answer one of their questions.

    What else the same memory tells is not among them.
    """
    return frozenset(
        (one.memory, one.answer)
        for one in answered
        if one.asked and one.one_at_a_time and newest[one.asked].memory != one.memory
    )
