"""Which answers to a model's questions are contradicted by what other memories, or the templates, say. Pure.

Invariant: a model's question never takes the place of a template's, and where it is refuted in one wording it is
refuted in all of them. Rather one question too few than one that teaches what was corrected since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain

from metahuman_core.dataset.answered import Answer, Answered, newest_of, outdated_of
from metahuman_core.model_study.marks import Marks
from metahuman_core.study import BY_MODEL


def contradicted(samples: Iterable[Answered]) -> frozenset[Answer]:
    """A model's facts that must not be trained.

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
    newest = newest_of(by_model)
    outdated = _outdated(templates)
    return frozenset(
        (sample.memory, sample.answer)
        for sample in by_model
        if any((one.memory, one.answer) != (sample.memory, sample.answer) for one in templates.get(sample.asked, ()))
        or newest[sample.asked].memory != sample.memory
        or _speaks_of(sample.answer, outdated.get(sample.memory, ()))
    )


def _outdated(templates: Mapping[str, list[Answered]]) -> dict[str, list[str]]:
    """By memory, its answers to what only one thing can be said of, where a newer memory says another."""
    every = list(chain.from_iterable(templates.values()))
    found: dict[str, list[str]] = defaultdict(list)
    for memory, answer in outdated_of(every, newest_of(every)):
        found[memory].append(answer)
    return found


def _speaks_of(answer: str, outdated: Iterable[str]) -> bool:
    said = Marks(answer)
    return any(
        said.numbers & (other := Marks(text)).numbers or any(other.has(word) for word in said.telling)
        for text in outdated
    )
