"""Which answers to a model's questions are contradicted by what other memories, or the templates, say. Pure.

Invariant: a model's question never takes the place of a template's, and where it is refuted in one wording it is
refuted in all of them. Rather one question too few than one that teaches what was corrected since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from metahuman_core.model_study.marks import Marks
from metahuman_core.study import BY_MODEL, ONE_AT_A_TIME


@dataclass(frozen=True, slots=True)
class Answered:
    """A sample, as far as it counts here. `asked` is the question in one form, "" where it has a history.

    `age` sorts as time does: when it happened, and of the same moment what was learned later.
    """

    age: tuple[str, bool]
    memory: str
    asked: str
    answer: str
    form: str


def contradicted(samples: Iterable[Answered]) -> frozenset[tuple[str, str]]:
    """The (memory, answer) of a model's facts that must not be trained.

    Those of which a wording is answered otherwise by a template or by a newer memory's fact, and those that speak of
    what their own memory says and a newer one corrects (an address).
    """
    every = [sample for sample in samples if sample.asked]
    by_model = [sample for sample in every if sample.form == BY_MODEL]
    if not by_model:
        return frozenset()
    templates: dict[str, list[Answered]] = defaultdict(list)
    for sample in every:
        if sample.form != BY_MODEL:
            templates[sample.asked].append(sample)
    newest = _newest(by_model)
    outdated = _outdated(templates)
    return frozenset(
        (sample.memory, sample.answer)
        for sample in by_model
        if any((one.memory, one.answer) != (sample.memory, sample.answer) for one in templates.get(sample.asked, ()))
        or newest[sample.asked].memory != sample.memory
        or _speaks_of(sample.answer, outdated.get(sample.memory, ()))
    )


def _newest(samples: Iterable[Answered]) -> dict[str, Answered]:
    newest: dict[str, Answered] = {}
    for sample in samples:
        if sample.asked not in newest or sample.age >= newest[sample.asked].age:
            newest[sample.asked] = sample
    return newest


def _outdated(templates: Mapping[str, list[Answered]]) -> dict[str, list[str]]:
    """By memory, its answers to what only one thing can be said of, where a newer memory says another."""
    newest = _newest(sample for same in templates.values() for sample in same)
    found: dict[str, list[str]] = defaultdict(list)
    for sample in (sample for same in templates.values() for sample in same):
        if sample.form in ONE_AT_A_TIME and newest[sample.asked].memory != sample.memory:
            found[sample.memory].append(sample.answer)
    return found


def _speaks_of(answer: str, outdated: Iterable[str]) -> bool:
    said = Marks(answer)
    return any(
        said.numbers & (other := Marks(text)).numbers or any(other.has(word) for word in said.telling)
        for text in outdated
    )
